/** `connected.ts ADDRESS COMMAND`: a shell runs COMMAND while port 40000 is connected to port 8080 at ADDRESS. */
import { connect, createServer } from "node:net";

const [host = "", command = ""] = process.argv.slice(2);

const server = createServer().listen(8080, host, () => {
  const socket = connect({ host, port: 8080, localAddress: host, localPort: 40_000 }, () => {
    const { exitCode } = Bun.spawnSync(["sh", "-c", command], {
      stdio: ["ignore", "inherit", "inherit"],
    });
    process.exitCode = exitCode;
    socket.destroy();
    server.close();
  });
  // ss(8) destroys it: ECONNABORTED.
  socket.on("error", () => {});
});
