/** `sotto probe --help`, on one screen. */
import { NAGIOS_TESTS } from "./report/index.ts";

export const PROBE_HELP = `sotto probe: what a server, a client or a path really does, with evidence

  sotto probe server [NAME=]TARGET…   ADDRESS, ADDRESS@PORT, ADDRESS#NAME, tls://NAME?ip=ADDRESS&pin=sha256:…
    --plan                say what would be sent, and send nothing
    --thorough            more queries, longer waits: for own servers
    --name NAME           an existing name (example.com); also below it unique names are asked for
    --delay-name NAME     a name that is answered late; --signed-name NAME, --bogus-name NAME: for validation;
                          --minimised-name NAME: its TXT record begins with HOORAY or NO (qnamemintest.internet.nl)
    --port, --tls-port    where ADDRESS and ADDRESS#NAME are asked, instead of 53 and 853
    --ca-file FILE        authorities instead of the system's
    --key-log FILE        secrets of its own TLS connections, to read a capture of them with; keep it to yourself
  sotto probe client -- COMMAND…      run a client against servers right and wrong; {address} {port} {tls-port} {name}
                                      {ca-file} {pin} {qname} in it are filled in
  sotto probe client --preset NAME | --listen [--port-base PORT]
    --title NAME          what its column is called;  --thorough: also what takes long
  sotto probe path TARGET             what lies between: UDP, TCP and TLS compared
  sotto probe report [NAME=]FILE…     saved reports beside each other
  sotto probe privacy --config FILE [--front] [--json | --statement]
                                      RFC 8932 (BCP 232) as a checklist; the privacy statement's skeleton
  sotto probe --schema                JSON Schema of saved reports

  Output of server, client, path and report:
    (none)                a table, and what was observed where something is not released
    --html FILE           one page with all evidence, besides;  --save FILE: the JSON, besides
    --pcapng FILE         the messages as packets for Wireshark, besides
    --json, --junit, --markdown
    --explain ROW         the exchange behind a row, message by message
    --nagios TEST         a plugin's line and exit code, as getdns_server_mon -M; --thresholds WARNING,CRITICAL
      tests: ${NAGIOS_TESTS.join(" ")}
    --require ROW,…       rows that must be released

  Exit codes: 0 nothing is broken   1 usage   2 something is broken, a required row is not released, or nothing could be
  probed   10 internal.  With --nagios: 0 ok, 1 warning, 2 critical, 3 unknown
`;
