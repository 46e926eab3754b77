/**
 * QEMU's own trace points as its log prints them (`-trace kvm_set_user_memory -trace 'pflash_*'`): slot calls with
 * their answers, and what a flash device saw. Shapes: 2.x to 8.1 have slot and address space in one number, from 8.2 on
 * apart; guest_memfd came with 9.0. With `-msg timestamp=on` each line begins `PID@SECONDS:`.
 */
import type { FlashAccess, SlotCall } from './trace-event.ts';

const SLOT =
  /^kvm_set_user_memory (?:AddrSpace#(\d+) )?Slot#(\d+) flags=0x([0-9a-f]+) gpa=0x([0-9a-f]+) size=0x([0-9a-f]+) ua=0x([0-9a-f]+)(?: guest_memfd=-?\d+)?(?: guest_memfd_offset=0x[0-9a-f]+)? ret=(-?\d+)$/;
const PFLASH =
  /^pflash_(?:io_)?(read|write) (?:(.+?): )?offset:0x([0-9a-f]+),? size:(\d+),? value:0x([0-9a-f]+)(?:,? cmd:0x[0-9a-f]+)?,? wcycle:(?:0x)?[0-9a-f]+$/;
const STAMP = /^\d+@(\d+\.\d+):/;

/** A line of QEMU's log without its time stamp, and the seconds of the stamp if it had one. */
export function unstamped(line: string): { readonly text: string; readonly time: number | undefined } {
  const m = STAMP.exec(line);
  if (m === null) return { text: line, time: undefined };
  return { text: line.slice(m[0].length), time: Number(m[1]) };
}

/** The slot call of a line, or undefined where it is none that we know. */
export function slotCall(text: string): SlotCall | undefined {
  const m = SLOT.exec(text);
  if (m === null) return undefined;
  const [, space, slot, flags, gpa, size, ua, ret] = m;
  const number = Number(slot);
  return {
    addressSpace: space === undefined ? Math.floor(number / 0x10000) : Number(space),
    slot: space === undefined ? number % 0x10000 : number,
    flags: hex(flags),
    gpa: hex(gpa),
    size: hex(size),
    ua: hex(ua),
    ret: Number(ret),
  };
}

/** The flash access of a line, or undefined where it is none. */
export function flashAccess(text: string): FlashAccess | undefined {
  const m = PFLASH.exec(text);
  if (m === null) return undefined;
  const [, kind, device, offset, size, value] = m;
  return {
    device: device ?? 'pflash',
    write: kind === 'write',
    offset: hex(offset),
    size: Number(size),
    value: hex(value),
  };
}

/** The trace points of a flash device that stand for an access; the others tell what it made of it. */
export const isFlashAccess = (name: string): boolean => /^pflash_(?:io_)?(?:read|write)$/.test(name);

/** The name of the trace point that a line of the log begins with; empty for other lines. */
export const traceName = (text: string): string => /^[a-z][a-z0-9_]+(?= |$)/.exec(text)?.[0] ?? '';

const hex = (digits: string | undefined): number => Number.parseInt(digits ?? '', 16);
