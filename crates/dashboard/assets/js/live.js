// Live state: one stream per page, told to whoever listens.

const listeners = new Set();
let state = { running: [], jobs: [], newest_run: null, error: null };
let status = "connecting";

/** Calls back now and whenever something has changed; returns how to stop. */
export function listen(callback) {
  listeners.add(callback);
  callback(state, status);
  return () => listeners.delete(callback);
}

function tell() {
  for (const callback of listeners) callback(state, status);
}

/** Opens the stream. The browser reconnects by itself; after a refusal it does not, so then we do. */
export function connect() {
  const stream = new EventSource("/api/v1/events");
  stream.addEventListener("state", (event) => {
    state = JSON.parse(event.data);
    status = state.error ? "away" : state.running.length > 0 ? "busy" : "live";
    tell();
  });
  stream.addEventListener("error", () => {
    status = "away";
    tell();
    if (stream.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
  });
}
