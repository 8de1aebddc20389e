/**
 * An HTTP proxy that finds names over TLS: `curl -x http://127.0.0.1:8080 https://www.example/`. Its 502 tells what failed.
 * Run: node --conditions=source examples/forward-proxy.ts "tls://dns.example?ip=192.0.2.53" 8080
 */
import { createServer, request } from "node:http";
import { connect } from "node:net";
import { pipeline } from "node:stream";
import { install } from "@sotto/dns/node-dns";

install({ upstreams: [process.argv[2] ?? "tls://dns.example?ip=192.0.2.53"] });
const why = ({ cause, code }: NodeJS.ErrnoException) => String(cause ?? code);
const proxy = createServer((asked, answer) => {
  const { url = "", method, headers } = asked;
  if (!/^http:/.test(url) || !URL.canParse(url)) return void answer.writeHead(400).end();
  const send = request(url, { method, headers }, (got) => {
    pipeline(got, answer.writeHead(got.statusCode ?? 502, got.headers), () => undefined);
  });
  asked.pipe(send);
  send.on("error", (error) => Object.assign(answer, { statusCode: 502 }).end(why(error)));
}).on("connect", ({ url }, client, head) => {
  const { hostname = "", port = "" } = URL.parse(`tcp://${url}`) ?? {};
  const refuse = (error: Error) => client.end(`HTTP/1.1 502 Unreachable\r\n\r\n${why(error)}`);
  const onward = connect(Number(port), hostname.replace(/[[\]]/g, ""), () => {
    client.write("HTTP/1.1 200 Connected\r\n\r\n");
    onward.off("error", refuse).write(head);
    pipeline(client, onward, client, () => undefined);
  }).on("error", refuse);
  client.on("error", () => onward.destroy());
});
proxy.listen(Number(process.argv[3] ?? 8080), "127.0.0.1", () => console.log("on", proxy.address()));
