// The customer's lines on their way: stored before they are sent, sent one at a time in order,
// and kept until they come back in the event stream. The same id every time makes a repeat harmless.

import { Nap, backoff, post } from "./session.js";
import { newId, store } from "./store.js";

// Another tab's line is its own to send; after this long it is taken to be closed or frozen.
const OTHER_TAB_MS = 4000;
const REFUSALS = new Set([400, 409, 413, 422]);

/** The server's reason where it is meant for customers, else a sentence of our own. */
function reasonOf({ status, data }) {
  const reason = data?.detail?.reason;
  if (typeof reason === "string" && /\p{Script=Han}/u.test(reason)) return reason;
  if (status === 413) return "内容太长了，请分成几条发送";
  return "这条消息没能发出，请修改后再发";
}

export class Outbox {
  #session;
  #onChange;
  #nap = new Nap();
  #turn = new Nap();
  #pumping = false;
  #failing = new Set();
  #waitUntil = new Map();

  constructor(session, onChange) {
    this.#session = session;
    this.#onChange = onChange;
    store.onOtherTab((name, added) => {
      if (name !== null && !name.startsWith("line.")) return;
      if (added) this.#waitUntil.set(store.get(name)?.id, Date.now() + OTHER_TAB_MS);
      this.#onChange();
      this.#turn.wake();
      this.resume();
    });
  }

  /** All lines, oldest first: `{id, text, button_id?, prompt_seq?, created_at, delivered, refused, failing}`. */
  lines() {
    return this.#names()
      .map((name) => store.get(name))
      .filter(Boolean)
      .map((line) => ({ ...line, failing: this.#failing.has(line.id) }));
  }

  add(text, press = {}) {
    // One key a line, ordered by its name: two tabs can write at once without losing either line.
    const newest = Number(this.#names().at(-1)?.split(".")[1] ?? 0);
    const order = String(Math.max(Date.now(), newest + 1)).padStart(15, "0");
    const id = newId();
    store.set(`line.${order}.${id}`, {
      id,
      text,
      ...press,
      created_at: new Date().toISOString(),
      delivered: false,
      refused: null,
    });
    this.#onChange();
    this.resume();
  }

  /** Takes a line out: it was seen in the stream, or the customer took it back. */
  remove(id) {
    const name = this.#nameOf(id);
    if (name) store.remove(name);
    this.#failing.delete(id);
    this.#waitUntil.delete(id);
  }

  /** Sends everything again: the server opened another conversation than before. */
  resendAll() {
    for (const line of this.lines()) this.#update(line.id, { delivered: false });
    this.resume();
  }

  /** Tries at once what is waiting for its next attempt. */
  hurry() {
    this.#nap.wake();
  }

  async resume() {
    if (this.#pumping) return;
    this.#pumping = true;
    let attempt = 0;
    for (;;) {
      const line = this.lines().find((one) => !one.delivered && !one.refused);
      if (!line) break;
      const wait = (this.#waitUntil.get(line.id) ?? 0) - Date.now();
      if (wait > 0) {
        await this.#turn.sleep(wait);
        continue;
      }
      attempt = (await this.#send(line, attempt)) ? 0 : attempt + 1;
    }
    this.#pumping = false;
  }

  /** Sends one line once; waits before it returns false. */
  async #send(line, attempt) {
    const token = await this.#session.token();
    const body = { client_msg_id: line.id, text: line.text };
    if (line.button_id) body.button_id = line.button_id;
    const answer = await post("messages", body, token);
    if (answer.status === 202 || REFUSALS.has(answer.status)) {
      this.#failing.delete(line.id);
      this.#update(line.id, answer.status === 202 ? { delivered: true } : { refused: reasonOf(answer) });
      this.#onChange();
      return true;
    }
    if (answer.status === 401) {
      this.#session.forget(token);
      if (attempt === 0) return false;
    }
    this.#failing.add(line.id);
    this.#onChange();
    await this.#nap.sleep(backoff(attempt, answer.retryAfter));
    return false;
  }

  #update(id, change) {
    const name = this.#nameOf(id);
    const line = name && store.get(name);
    if (line) store.set(name, { ...line, ...change });
  }

  #names() {
    return store.names("line.");
  }

  #nameOf(id) {
    return this.#names().find((name) => name.endsWith(id));
  }
}
