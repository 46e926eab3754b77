/**
 * What is built into the language, as it was before a user's module was loaded. A module that changes `Array.prototype.map`
 * changes every result; it is told so instead of being believed.
 */

// Taken before a module can replace them.
const { getOwnPropertyDescriptor, getPrototypeOf, is } = Object;
const { ownKeys } = Reflect;
const text = String;

/** Of these, parts are changed by reading or by runtimes: stack traces and the last match. */
const RESTLESS = new Set(['Error.stackTraceLimit', 'Error.prepareStackTrace', 'RegExp']);

interface Seen {
  readonly name: string;
  readonly of: object;
  readonly keys: readonly PropertyKey[];
  /** Values or getters by key, in the order of `keys`. */
  readonly held: readonly unknown[];
}

const NAMES = [
  ...[
    'Object',
    'Function',
    'Array',
    'String',
    'Number',
    'Boolean',
    'Symbol',
    'BigInt',
    'Math',
    'JSON',
    'Reflect',
  ],
  ...[
    'Promise',
    'Proxy',
    'Map',
    'Set',
    'WeakMap',
    'WeakSet',
    'WeakRef',
    'Date',
    'RegExp',
    'Error',
    'TypeError',
  ],
  ...['RangeError', 'SyntaxError', 'ArrayBuffer', 'SharedArrayBuffer', 'DataView', 'Atomics', 'Uint8Array'],
  ...[
    'Uint16Array',
    'Uint32Array',
    'Int8Array',
    'Int16Array',
    'Int32Array',
    'BigInt64Array',
    'BigUint64Array',
  ],
  ...['Float32Array', 'Float64Array', 'TextEncoder', 'TextDecoder', 'WebAssembly', 'Intl'],
];

function heldBy(of: object, key: PropertyKey): unknown {
  const d = getOwnPropertyDescriptor(of, key);
  return d === undefined ? undefined : (d.get ?? d.set ?? d.value);
}

function look(name: string, of: object): Seen {
  const keys = ownKeys(of);
  return { name, of, keys, held: keys.map((key) => heldBy(of, key)) };
}

const seen: readonly Seen[] = NAMES.flatMap((name) => {
  const of: unknown = heldBy(globalThis, name);
  if ((typeof of !== 'object' && typeof of !== 'function') || of === null) return [];
  const proto = typeof of === 'function' ? heldBy(of, 'prototype') : undefined;
  const views =
    name === 'Uint8Array' && typeof of === 'function'
      ? [look('TypedArray.prototype', getPrototypeOf(of.prototype))]
      : [];
  return [
    ...(RESTLESS.has(name) ? [] : [look(name, of)]),
    ...(typeof proto === 'object' && proto !== null ? [look(`${name}.prototype`, proto)] : []),
    ...views,
  ];
});
const globals = NAMES.map((name) => ({ name, was: heldBy(globalThis, name) }));

/** The first thing built in that is not what it was, as `Array.prototype.map`; undefined if all is well. */
export function changedBuiltin(): string | undefined {
  // Plain loops: what a module has changed must not be used to find it out.
  for (let i = 0; i < globals.length; i++) {
    const g = globals[i];
    if (g !== undefined && !is(heldBy(globalThis, g.name), g.was)) return g.name;
  }
  for (let i = 0; i < seen.length; i++) {
    const s = seen[i];
    const changed = s === undefined ? undefined : changeOf(s);
    if (changed !== undefined) return changed;
  }
  return undefined;
}

function changeOf({ name, of, keys, held }: Seen): string | undefined {
  const now = ownKeys(of);
  for (let k = 0; k < now.length || k < keys.length; k++) {
    const key = now[k] ?? keys[k];
    if (key === undefined) continue;
    const path = `${name}.${text(key)}`;
    if (RESTLESS.has(path)) continue;
    if (now[k] !== keys[k] || !is(heldBy(of, key), held[k])) return path;
  }
  return undefined;
}
