import { createServer } from "node:http";

const body = `${process.env.GREETING}\n`;
const server = createServer((request, response) => {
  response.writeHead(200, { "content-type": "text/plain; charset=utf-8" });
  response.end(body);
});
server.listen(80);
process.on("SIGTERM", () => server.close(() => process.exit(0)));
