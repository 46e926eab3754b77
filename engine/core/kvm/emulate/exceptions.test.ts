/** One exception on top of another, as the SDM's table of double faults has it. */
import { describe, expect, test } from 'vitest';
import type { Cpu } from '../../x86/cpu/cpu.ts';
import { CPU_EXIT_NPF, CPU_EXIT_SHUTDOWN, CPU_OK } from '../../x86/ports.ts';
import { ExceptionQueue } from './exceptions.ts';

const [DE, UD, DF, GP, PF] = [0, 6, 8, 13, 14];

/** A processor that answers each delivery with the next of `answers`, and what was delivered. */
function processor(...answers: readonly number[]): { cpu: Cpu; delivered: [number, number][] } {
  const delivered: [number, number][] = [];
  const deliver = (vector: number, code: number): number => {
    delivered.push([vector, code]);
    return answers[delivered.length - 1] ?? CPU_OK;
  };
  return { cpu: { deliver } as unknown as Cpu, delivered };
}

/** `second` comes up while `first` is being delivered; what is delivered then. */
function onTop(first: number, second: number): number {
  const queue = new ExceptionQueue();
  const { cpu, delivered } = processor(CPU_EXIT_NPF);
  queue.queue(first, 0);
  expect(queue.deliver(cpu)).toBe(CPU_EXIT_NPF);
  queue.queue(second, 7);
  const why = queue.deliver(cpu);
  if (why === CPU_EXIT_SHUTDOWN) return -1;
  const [vector, code] = delivered.at(-1)!;
  expect(code).toBe(vector === second ? 7 : 0);
  return vector;
}

describe('while one is being delivered', () => {
  test.each([
    ['a page fault on a page fault is a double fault', PF, PF, DF],
    ['a contributory one on a page fault is a double fault', PF, GP, DF],
    ['a contributory one on a contributory one is a double fault', GP, DE, DF],
    ['a page fault on a contributory one is a page fault', GP, PF, PF],
    ['a benign one stays what it is', PF, UD, UD],
    ['a page fault on a benign one is a page fault', UD, PF, PF],
    ['a contributory one on a benign one stays what it is', UD, GP, GP],
    ['any on a double fault shuts the guest down', DF, GP, -1],
    ['a page fault on a double fault too', DF, PF, -1],
    ['be it benign', DF, UD, -1],
  ])('%s', (_, first, second, becomes) => expect(onTop(first, second)).toBe(becomes));

  test.each([0, 10, 11, 12, 13])('vector %i is contributory', (v) => expect(onTop(PF, v)).toBe(DF));
  test.each([1, 3, 4, 5, 6, 7, 9, 15, 16, 17])('vector %i is not', (v) => expect(onTop(PF, v)).toBe(v));
});

test('what was delivered is done: the next one stands alone', () => {
  const queue = new ExceptionQueue();
  const { cpu, delivered } = processor();
  expect(queue.empty).toBe(true);
  expect(queue.deliver(cpu)).toBe(CPU_OK);
  queue.queue(GP, 1);
  expect(queue.empty).toBe(false);
  expect(queue.deliver(cpu)).toBe(CPU_OK);
  expect(queue.empty).toBe(true);
  queue.queue(GP, 2);
  queue.deliver(cpu);
  expect(delivered).toEqual([
    [GP, 1],
    [GP, 2],
  ]);
});

test('an event whose delivery faulted is delivered again once the fault is served', () => {
  const queue = new ExceptionQueue();
  const { cpu, delivered } = processor(CPU_EXIT_NPF, CPU_OK);
  queue.queue(PF, 2);
  expect(queue.deliver(cpu)).toBe(CPU_EXIT_NPF);
  expect(queue.deliver(cpu)).toBe(CPU_OK);
  expect(delivered).toEqual([
    [PF, 2],
    [PF, 2],
  ]);
});

test('emulation forgets what was being delivered; setting registers forgets a shutdown, too', () => {
  const queue = new ExceptionQueue();
  const { cpu, delivered } = processor(CPU_EXIT_NPF, CPU_EXIT_NPF);
  queue.queue(PF, 0);
  queue.deliver(cpu);
  queue.clear();
  queue.queue(PF, 3);
  queue.deliver(cpu);
  expect(delivered.at(-1)).toEqual([PF, 3]);
  queue.clear();
  queue.queue(DF, 0);
  const again = processor(CPU_EXIT_NPF);
  queue.deliver(again.cpu);
  queue.queue(UD, -1);
  expect(queue.deliver(again.cpu)).toBe(CPU_EXIT_SHUTDOWN);
  queue.reset();
  expect(queue.deliver(again.cpu)).toBe(CPU_OK);
  queue.queue(UD, -1);
  expect(queue.deliver(again.cpu)).toBe(CPU_OK);
});
