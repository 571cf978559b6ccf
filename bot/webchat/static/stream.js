// The server's events, read with fetch because EventSource cannot send an Authorization header.

import { API, Nap, backoff } from "./session.js";

// The server sends a heartbeat every 15 s, so this long without a byte means the line is dead.
const SILENCE_MS = 40_000;
const SUSPECT_MS = 20_000;
const STEADY_MS = 5000;

/** Parses text/event-stream in pieces and calls `onEvent(type, data)`. */
function parser(onEvent) {
  let rest = "";
  let type = "message";
  let data = [];
  return (chunk) => {
    rest += chunk;
    // A carriage return at the very end may be half of a CRLF, so it waits for the next piece.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    for (const line of lines) {
      const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line);
      if (line === "") {
        if (data.length) onEvent(type, data.join("\n"));
        type = "message";
        data = [];
      } else if (field === "event") type = value;
      else if (field === "data") data.push(value);
    }
  };
}

class Resync extends Error {}

export class Stream {
  #session;
  #on;
  #seq = 0;
  #gapAllowedAfter = null;
  #nap = new Nap();
  #abort = new AbortController();
  #heardAt = 0;

  /**
   * `on` has `message(m)`, `state(s)`, `typing(t)`, `connected(bool)`, `restart()` and
   * `isKnown(m)`: whether a message that came again is the one already shown.
   */
  constructor(session, on) {
    this.#session = session;
    this.#on = on;
  }

  /** Reads for ever, and resumes after whatever cut the line. */
  async run() {
    let attempt = 0;
    for (;;) {
      const startedAt = Date.now();
      let retryAfter = 0;
      try {
        retryAfter = await this.#readOnce();
      } catch (error) {
        if (error instanceof Resync) continue;
      }
      this.#on.connected(false);
      attempt = Date.now() - startedAt > STEADY_MS ? 0 : attempt + 1;
      await this.#nap.sleep(backoff(attempt - 1, retryAfter));
    }
  }

  /** Begins again at the first message. */
  restart() {
    this.#seq = 0;
    this.#abort.abort();
    this.#on.restart();
  }

  /** Reconnects now if the line looks dead: the network came back, or the phone woke up. */
  hurry() {
    this.#nap.wake();
    if (this.#heardAt && Date.now() - this.#heardAt > SUSPECT_MS) this.#abort.abort();
  }

  /** Reads until the line ends; the seconds to wait if the server named them, else 0. */
  async #readOnce() {
    const token = await this.#session.token();
    const abort = new AbortController();
    this.#abort = abort;
    let watchdog;
    const heard = () => {
      this.#heardAt = Date.now();
      clearTimeout(watchdog);
      watchdog = setTimeout(() => abort.abort(), SILENCE_MS);
    };
    heard();
    try {
      const response = await fetch(new URL(`events?after=${this.#seq}`, API), {
        headers: { Authorization: `Bearer ${token}`, Accept: "text/event-stream" },
        cache: "no-store",
        signal: abort.signal,
      });
      if (response.status === 401) this.#session.forget(token);
      const kind = response.headers.get("Content-Type") ?? "";
      if (!response.ok || !kind.startsWith("text/event-stream")) {
        return Number(response.headers.get("Retry-After")) || 0;
      }
      this.#on.connected(true);
      const reader = response.body.getReader();
      const decoder = new TextDecoder();
      const feed = parser((type, data) => this.#take(type, JSON.parse(data)));
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return 0;
        heard();
        feed(decoder.decode(value, { stream: true }));
      }
    } finally {
      clearTimeout(watchdog);
      abort.abort();
    }
  }

  #take(type, data) {
    if (type === "state") this.#on.state(data);
    else if (type === "typing") this.#on.typing(data);
    else if (type === "message") this.#takeMessage(data);
  }

  #takeMessage(message) {
    if (message.seq <= this.#seq) {
      if (this.#on.isKnown(message)) return;
      // The same number with other words: the server's history is not the one shown here.
      this.restart();
      throw new Resync();
    }
    if (message.seq > this.#seq + 1 && this.#gapAllowedAfter !== this.#seq) {
      // Asked once more from the last good one. If the gap is still there then nothing is coming
      // (retention deletes old messages), and showing the rest beats waiting for ever.
      this.#gapAllowedAfter = this.#seq;
      throw new Resync();
    }
    this.#seq = message.seq;
    this.#on.message(message);
  }
}
