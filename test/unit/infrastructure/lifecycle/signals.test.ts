import { EventEmitter } from "node:events";
import { expect, test } from "@jest/globals";
import { listenToSignals } from "../../../../src/infrastructure/lifecycle/signals.ts";

function listen() {
  const source = new EventEmitter();
  const calls: string[] = [];
  const unlisten = listenToSignals(
    {
      stop: (signal) => calls.push(`stop ${signal}`),
      forceExit: (signal) => calls.push(`exit ${signal}`),
      hangUp: () => calls.push("hang up"),
      restart: () => calls.push("restart"),
    },
    source,
  );
  return { source, calls, unlisten };
}

test.each(["SIGINT", "SIGTERM", "SIGQUIT", "SIGABRT"])("%s stops the daemon", (signal) => {
  const { source, calls } = listen();

  source.emit(signal, signal);

  expect(calls).toEqual([`stop ${signal}`]);
});

test("a second signal ends the daemon at once, whichever it is", () => {
  const { source, calls } = listen();

  source.emit("SIGTERM", "SIGTERM");
  source.emit("SIGINT", "SIGINT");
  source.emit("SIGTERM", "SIGTERM");

  expect(calls).toEqual(["stop SIGTERM", "exit SIGINT", "exit SIGTERM"]);
});

test("SIGHUP is told each time and stops nothing", () => {
  const { source, calls } = listen();

  source.emit("SIGHUP", "SIGHUP");
  source.emit("SIGHUP", "SIGHUP");

  expect(calls).toEqual(["hang up", "hang up"]);
});

test("SIGUSR2 restarts the daemon once, and not while it is stopping", () => {
  const restarting = listen();
  const stopping = listen();

  restarting.source.emit("SIGUSR2", "SIGUSR2");
  restarting.source.emit("SIGUSR2", "SIGUSR2");
  stopping.source.emit("SIGTERM", "SIGTERM");
  stopping.source.emit("SIGUSR2", "SIGUSR2");

  expect(restarting.calls).toEqual(["restart"]);
  expect(stopping.calls).toEqual(["stop SIGTERM"]);
});

test("a stop signal during a restart ends the daemon at once", () => {
  const { source, calls } = listen();

  source.emit("SIGUSR2", "SIGUSR2");
  source.emit("SIGTERM", "SIGTERM");

  expect(calls).toEqual(["restart", "exit SIGTERM"]);
});

test("SIGUSR1 and SIGPIPE have a listener that does nothing", () => {
  const { source, calls } = listen();

  expect(source.emit("SIGUSR1", "SIGUSR1")).toBe(true);
  expect(source.emit("SIGPIPE", "SIGPIPE")).toBe(true);
  expect(calls).toEqual([]);
});

test("no listener stays behind", () => {
  const { source, unlisten } = listen();

  unlisten();

  expect(source.eventNames()).toEqual([]);
});
