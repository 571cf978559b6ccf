// The box in which the customer writes; the unsent draft survives a reload.

import { store } from "./store.js";

const LONGEST = 4000;
const COUNT_FROM = 3600;

const $ = (id) => document.getElementById(id);

export class Composer {
  #box = $("box");
  #onSend;

  constructor(onSend) {
    this.#onSend = onSend;
    this.#box.value = store.get("draft") ?? "";
    this.#box.addEventListener("input", () => this.#changed());
    this.#box.addEventListener("keydown", (event) => {
      // While an input method is composing, Enter picks a word; Safari says so only by code 229.
      const composing = event.isComposing || event.keyCode === 229;
      if (event.key !== "Enter" || event.shiftKey || composing) return;
      event.preventDefault();
      this.#send();
    });
    $("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    // Keeps the keyboard of a phone open when the send button is tapped.
    $("send").addEventListener("pointerdown", (event) => event.preventDefault());
    this.#changed();
  }

  /** Puts `text` back in front of what is being written. */
  takeBack(text) {
    this.#box.value = [text, this.#box.value].filter(Boolean).join("\n");
    this.#changed();
    this.#box.focus();
  }

  #send() {
    const text = this.#box.value.trim();
    if (!text || this.#length() > LONGEST) return;
    this.#onSend(text);
    this.#box.value = "";
    this.#changed();
  }

  /** Counted in characters, as the server does; an emoji is not two. */
  #length() {
    return [...this.#box.value.trim()].length;
  }

  #changed() {
    const { value } = this.#box;
    if (value) store.set("draft", value);
    else store.remove("draft");
    const left = LONGEST - (value.length > COUNT_FROM ? this.#length() : 0);
    $("counter").textContent = left < 0 ? `超出 ${-left} 字` : left <= LONGEST - COUNT_FROM ? `还可输入 ${left} 字` : "";
    $("counter").classList.toggle("over", left < 0);
    this.#box.setAttribute("aria-invalid", String(left < 0));
    $("send").setAttribute("aria-disabled", String(!value.trim() || left < 0));
    this.#box.style.height = "auto";
    this.#box.style.height = `${this.#box.scrollHeight}px`;
  }
}
