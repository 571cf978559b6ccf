// What this browser remembers. Where localStorage is missing, blocked or full (private windows,
// third-party frames) the same calls keep the values in memory for as long as the page lives.

const PREFIX = "huiyin.";
const memory = new Map();

function shelf() {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}

export const store = {
  /** The stored value, or null. */
  get(name) {
    if (memory.has(name)) return memory.get(name);
    try {
      return JSON.parse(shelf()?.getItem(PREFIX + name) ?? "null");
    } catch {
      return null;
    }
  },

  set(name, value) {
    try {
      window.localStorage.setItem(PREFIX + name, JSON.stringify(value));
      memory.delete(name);
    } catch {
      memory.set(name, value);
    }
  },

  remove(name) {
    memory.delete(name);
    try {
      shelf()?.removeItem(PREFIX + name);
    } catch {
      // Nothing was stored, so nothing has to go.
    }
  },

  /** The names that begin with `start`, sorted. */
  names(start) {
    const found = new Set([...memory.keys()].filter((name) => name.startsWith(start)));
    const box = shelf();
    for (let i = 0; box && i < box.length; i += 1) {
      const key = box.key(i);
      if (key.startsWith(PREFIX + start)) found.add(key.slice(PREFIX.length));
    }
    return [...found].sort();
  },

  /** Calls `listener(name, added)` when another tab changes something; `name` is null for "all of it". */
  onOtherTab(listener) {
    window.addEventListener("storage", (event) => {
      if (event.key === null) listener(null, false);
      else if (event.key.startsWith(PREFIX)) {
        listener(event.key.slice(PREFIX.length), event.oldValue === null);
      }
    });
  },
};

/** A random UUID; crypto.randomUUID is missing on pages served without TLS. */
export function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
