/** Progress: nothing in a pipe, nothing for what is quick, and no more often than one can read. */
import { expect, test } from 'vitest';
import type { Io } from '../io.ts';
import { createProgress } from './progress.ts';

/** A progress line on a terminal of 20 columns, with a clock that is set by hand. */
function onTerminal(io: Partial<Io> = {}) {
  const drawn: string[] = [];
  let now = 5000;
  const line = createProgress(
    { progress: true, columns: 20, err: (text: string) => drawn.push(text), ...io } as Io,
    () => now,
  );
  const at = (ms: number, text: string): readonly string[] => {
    now = 5000 + ms;
    drawn.length = 0;
    line.show(text);
    return [...drawn];
  };
  return { at, line, drawn };
}

test('the first second is quiet', () => {
  const { at } = onTerminal();
  expect(at(0, 'a')).toEqual([]);
  expect(at(999, 'b')).toEqual([]);
  expect(at(1000, 'c')).toEqual(['\r\u001b[Kc']);
});

test('a line is drawn at most ten times a second, and never wider than the terminal', () => {
  const { at } = onTerminal();
  expect(at(1500, 'a')).toHaveLength(1);
  expect(at(1599, 'b')).toEqual([]);
  expect(at(1600, 'x'.repeat(40))).toEqual([`\r\u001b[K${'x'.repeat(19)}`]);
  expect(onTerminal({ columns: undefined }).at(1000, 'x'.repeat(99))).toEqual([
    `\r\u001b[K${'x'.repeat(79)}`,
  ]);
});

test('what was drawn is cleared, once; what was not is left alone', () => {
  const { at, line, drawn } = onTerminal();
  at(500, 'a');
  line.clear();
  expect(drawn).toEqual([]);
  at(2000, 'b');
  line.clear();
  line.clear();
  expect(drawn).toEqual(['\r\u001b[Kb', '\r\u001b[K']);
  // After it was cleared the next one may come at once.
  expect(at(2001, 'c')).toHaveLength(1);
});

test('where standard error is no terminal nothing is drawn', () => {
  const { at, line, drawn } = onTerminal({ progress: false });
  expect(at(5000, 'a')).toEqual([]);
  line.clear();
  expect(drawn).toEqual([]);
});
