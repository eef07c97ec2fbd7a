import { createServer } from "node:net";

// The yardstick of every push: a process that gives back what it gets, without looking at it.
// Prints its port when it listens; ends when its input does.
const server = createServer({ noDelay: true }, (socket) => {
  socket.on("data", (chunk: Buffer) => {
    socket.write(chunk);
  });
  socket.on("error", () => {
    socket.destroy();
  });
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  process.stdout.write(`${typeof address === "object" && address !== null ? address.port : 0}\n`);
});
process.stdin.resume();
process.stdin.on("end", () => {
  process.exit(0);
});
