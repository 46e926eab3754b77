/** A guest that does to a flash what a recording says: a table of byte accesses, and the loop that makes them. */
import { PAGE_SIZE } from '../../engine/abi.ts';
import type { Guest } from './guest.ts';
import { al, at, cl, eax, ebx, edi, edx, esi } from './registers.ts';

/** One access of one byte that a flash saw. */
export interface FlashCommand {
  readonly write: boolean;
  readonly offset: number;
  /** What was written, or what the flash answered. */
  readonly value: number;
}

/** A row of the table: what to do, value, two unused bytes, offset. */
const FLASH_ROW_BYTES = 8;
const END = 0;
const WRITE = 1;
const READ = 2;

/** Bytes of a table of so many commands, in whole pages; the end has a row too. */
export const flashTableBytes = (commands: number): number =>
  Math.ceil(((commands + 1) * FLASH_ROW_BYTES) / PAGE_SIZE) * PAGE_SIZE;

/** The table, `bytes` long. */
export function flashTable(commands: readonly FlashCommand[], bytes: number): Uint8Array {
  const table = new Uint8Array(bytes);
  const view = new DataView(table.buffer);
  for (const [i, { write, offset, value }] of commands.entries()) {
    table[i * FLASH_ROW_BYTES] = write ? WRITE : READ;
    table[i * FLASH_ROW_BYTES + 1] = value;
    view.setUint32(i * FLASH_ROW_BYTES + 4, offset, true);
  }
  return table;
}

/**
 * Makes the accesses of the table at `table` to the flash at `flash`. Stores count as operations; ebx counts reads whose
 * answer is not the recorded one; edi is the flash afterwards.
 */
export function runFlashTable(g: Guest, table: number, flash: number): void {
  g.set(esi, table);
  g.set(edi, flash);
  g.clear(ebx);
  g.label('command');
  g.loadByte(eax, at(esi));
  g.compare(al, END);
  g.jumpIf('z', 'through');
  g.load(edx, at(esi, 4));
  g.add(edx, edi);
  g.load(cl, at(esi, 1));
  g.compare(al, READ);
  g.jumpIf('z', 'read');
  g.store(at(edx), cl);
  g.done();
  g.jump('next');
  g.label('read');
  g.load(al, at(edx));
  g.compareRegisters(al, cl);
  g.jumpIf('z', 'next');
  g.increment(ebx);
  g.label('next');
  g.addTo(esi, FLASH_ROW_BYTES);
  g.jump('command');
  g.label('through');
}
