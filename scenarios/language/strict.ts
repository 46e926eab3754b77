/** Objects from outside, checked key by key: one that nobody knows is a slip of the pen, and is told with what was meant. */
import { z } from 'zod';
import { nearest } from './nearest.ts';

/** An object with these keys and no others. */
export function strict<const S extends z.core.$ZodShape>(shape: S) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys' ? issue.keys.map((key) => hinted(key, known)).join('\n') : undefined,
  });
}

function hinted(key: string, known: readonly string[]): string {
  const near = nearest(key, known);
  return near === undefined ? key : `${key} (did you mean ${near}?)`;
}

/** What is wrong with a value, in one line: all keys that nobody knows, or else the first thing. */
export function complaint(error: z.ZodError): string {
  const unknown = error.issues.flatMap(({ code, path, message }) =>
    code === 'unrecognized_keys' ? message.split('\n').map((key) => pathOf([...path, key])) : [],
  );
  if (unknown.length > 0) return `no such ${unknown.length === 1 ? 'key' : 'keys'}: ${unknown.join(', ')}`;
  const [issue] = error.issues;
  const where = pathOf(issue?.path ?? []);
  return `${where === '' ? '' : `${where}: `}${issue?.message ?? 'it has the wrong shape'}`;
}

/** `memory.bios.at`, `slots[0].size`. */
const pathOf = (path: readonly PropertyKey[]): string =>
  path
    .map((p) => (typeof p === 'number' ? `[${p}]` : `.${String(p)}`))
    .join('')
    .replace(/^\./, '');
