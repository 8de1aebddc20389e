/**
 * Only the requests of one agent find names over TLS; the rest of the process stays as it is.
 * Run: node --conditions=source examples/http-agent.ts "tls://dns.example?ip=192.0.2.53" http://www.example/
 */
import http from "node:http";
import https from "node:https";
import { createDns } from "@sotto/dns/node-dns";

const [upstream = "tls://dns.example?ip=192.0.2.53", url = "http://www.example/"] = process.argv.slice(2);
const { lookup, close } = createDns({ upstreams: [upstream] });
const { get, Agent } = url.startsWith("https:") ? https : http;
const agent = new Agent({ lookup, keepAlive: true });

get(url, { agent }, (response) => {
  console.log(response.statusCode, response.socket.remoteAddress);
  response.resume().on("end", () => {
    agent.destroy();
    void close();
  });
}).on("error", (error) => console.log(error.message, error.cause));
