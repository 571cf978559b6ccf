// How this page speaks to the server, and the session that it speaks in.

import { newId, store } from "./store.js";

// Taken from this file's address, so that the page also works below a path prefix.
export const API = new URL("../../api/v1/chat/", import.meta.url);

const TIMEOUT_MS = 15_000;
const LONGEST_WAIT_MS = 30_000;
const LONGEST_RETRY_AFTER_S = 600;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Milliseconds to wait after failure number `attempt` (from 0), or what the server asked for. */
export function backoff(attempt, retryAfter = 0) {
  const asked = Math.min(retryAfter, LONGEST_RETRY_AFTER_S) * 1000;
  const grown = Math.min(LONGEST_WAIT_MS, 1000 * 2 ** Math.min(attempt, 10));
  // Jitter keeps the customers of a restarted server from all coming back in the same moment.
  return asked > 0 ? asked + Math.random() * 500 : grown * (0.5 + Math.random() / 2);
}

/** A sleep that can be cut short. */
export class Nap {
  #wake = () => {};

  sleep(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  wake() {
    this.#wake();
  }
}

/** Posts JSON and returns `{status, data, retryAfter}`; status 0 means that no answer came. */
export async function post(path, body, token) {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), TIMEOUT_MS);
  const headers = { "Content-Type": "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  try {
    const response = await fetch(new URL(path, API), {
      method: "POST",
      headers,
      body: JSON.stringify(body),
      cache: "no-store",
      signal: limit.signal,
    });
    const data = await response.json().catch(() => null);
    const retryAfter = Number(response.headers.get("Retry-After")) || 0;
    return { status: response.status, data, retryAfter };
  } catch {
    return { status: 0, data: null, retryAfter: 0 };
  } finally {
    clearTimeout(timer);
  }
}

function clientSessionId() {
  const known = store.get("session");
  if (UUID.test(known)) return known;
  const made = newId();
  store.set("session", made);
  return made;
}

export class Session {
  #clientId = clientSessionId();
  #token = null;
  #opening = null;
  #nap = new Nap();
  #onOpen;
  #onTrouble;

  /**
   * `onOpen(answer)` runs each time the server has opened the session, `onTrouble(badOrder)` each
   * time it could not; `badOrder` is true when it refused the order link.
   */
  constructor({ onOpen, onTrouble }) {
    this.#onOpen = onOpen;
    this.#onTrouble = onTrouble;
    store.onOtherTab((name) => {
      // Two first tabs opened at once may have made two sessions; the one stored last is kept.
      if (name === "session" && store.get("session") !== this.#clientId) location.reload();
    });
  }

  /** The token, as soon as there is one. */
  token() {
    if (this.#token) return Promise.resolve(this.#token);
    this.#opening ??= this.#open().finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  /** Says that the server no longer takes `token`. */
  forget(token) {
    if (token === this.#token) this.#token = null;
  }

  /** Opens once more, for an order link that came while the page was already open. */
  async reopen() {
    this.forget(await this.token());
    await this.token();
  }

  hurry() {
    this.#nap.wake();
  }

  async #open() {
    for (let attempt = 0; ; attempt += 1) {
      const order = store.get("order");
      const body = { client_session_id: this.#clientId };
      if (order) body.order_token = order;
      const answer = await post("sessions", body);
      if (answer.status === 200 && answer.data?.token) {
        if (order && store.get("order") === order) store.remove("order");
        this.#token = answer.data.token;
        this.#onOpen(answer.data);
        return this.#token;
      }
      const badOrder = answer.status === 422 && Boolean(order);
      this.#onTrouble(badOrder);
      // A broken link must not keep the customer out of the shop's chat.
      if (badOrder) store.remove("order");
      else await this.#nap.sleep(backoff(attempt, answer.retryAfter));
    }
  }
}
