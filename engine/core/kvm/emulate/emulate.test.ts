/** retry_instruction(): which stores are tried once more, and that a second chance is one for an instruction and an address. */
import { expect, test } from 'vitest';
import { KVM_EXIT_HLT } from '../../../exits.ts';
import { longGuest } from '../../testing.ts';

const TOUCH = [0x8a, 0x03]; // mov al, [rbx]: KVM shadows the tables at 0x6000 and 0x7000
const INC = [0xfe, 0x07]; // inc byte [rdi]
const NEXT_PAGE = [0x81, 0xc7, 0, 0x10, 0, 0]; // add edi, 0x1000
const HLT = 0xf4;

function retries(code: readonly number[]): { retried: number; emulated: number } {
  const { m } = longGuest(code, 'shadow');
  expect(m.run()).toBe(0);
  expect(m.exit.reason).toBe(KVM_EXIT_HLT);
  const { faults, emulated } = m.observe();
  return { retried: faults.retry, emulated: emulated ?? -1 };
}

test('a store to a shadowed table that nobody walks now is let through: unprotected, and tried again', () => {
  expect(retries([...TOUCH, ...INC, HLT])).toEqual({ retried: 1, emulated: 0 });
});

test('the same instruction at another address has its own chance', () => {
  // Twice round one loop: inc [0x6ff0], inc [0x7ff0].
  const loop = [...INC, ...NEXT_PAGE, 0x81, 0xff, 0xf0, 0x8f, 0, 0, 0x75, 0xf0];
  expect(retries([...TOUCH, ...loop, HLT])).toEqual({ retried: 2, emulated: 0 });
});

test('and so has another instruction at the same address', () => {
  expect(retries([...TOUCH, ...INC, ...TOUCH, ...INC, HLT])).toEqual({ retried: 2, emulated: 0 });
});

test('a store to a table of its own walk is emulated when it comes again', () => {
  // The fetch that follows shadows the table once more: unprotecting it did not help.
  const toPd = [0xbf, 0xf0, 0x4f, 0, 0]; // mov edi, 0x4ff0
  expect(retries([...toPd, ...INC, HLT])).toEqual({ retried: 1, emulated: 1 });
});

test('what page-table code uses to write entries is emulated at once', () => {
  const movStore = [0x88, 0x07]; // mov [rdi], al
  expect(retries([...TOUCH, ...movStore, HLT])).toEqual({ retried: 0, emulated: 1 });
});
