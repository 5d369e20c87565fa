// A client of Socket.IO for tests: does what lines of JSON on its input say, and says by lines of
// JSON what happens. Usage: node client.js <url> <options>
"use strict";

const { createRequire } = require("node:module");
const { createInterface } = require("node:readline");

const { io } = createRequire(`${process.env.TEST_SOCKETIO}/`)("socket.io-client");

const [url, options] = [process.argv[2], JSON.parse(process.argv[3])];
const tell = (event, ...data) => process.stdout.write(`${JSON.stringify([event, ...data])}\n`);

// What a good client remembers: where it is, and the last comment that it saw there.
const rooms = new Map();
const join = (room) => {
  const after = rooms.get(room);
  socket.emit("join", after ? { room, after } : { room }, (answer) => tell("joined", room, answer));
};

const socket = io(url, options);
socket.on("connect", () => {
  tell("connect", socket.io.engine.transport.name);
  for (const room of rooms.keys()) join(room);
});
socket.on("connect_error", (error) => {
  tell("connect_error", error.message, error.data ?? null, socket.active);
});
socket.on("disconnect", (reason, details) => {
  tell("disconnect", reason, details?.context?.code ?? null);
});
socket.onAny((event, ...data) => {
  if (event === "comment") {
    const id = data[0].comment_id;
    rooms.set(`posts/${id.slice(0, id.lastIndexOf("."))}`, id);
  }
  tell(event, ...data);
});

const actions = {
  emit: ([event, ...data]) => socket.emit(event, ...data),
  ask: ([event, ...data]) => {
    socket.timeout(30_000).emit(event, ...data, (error, answer) => {
      tell("answer", error ? { error: error.message } : answer);
    });
  },
  join: (room) => {
    rooms.set(room, rooms.get(room));
    join(room);
  },
};
createInterface({ input: process.stdin })
  .on("line", (line) => {
    for (const [action, what] of Object.entries(JSON.parse(line))) actions[action](what);
  })
  .on("close", () => process.exit());
