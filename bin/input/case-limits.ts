/** Bounds of a recorded case: what is beyond them is a slip, and would take minutes or gigabytes to find out. */
import type { OracleCase } from '../../scenarios/conform/conform-case.ts';
import { UsageError } from '../io.ts';

/** Bytes of memory behind all slots of a case. The recorded ones have 128 KiB. */
const MEMORY_MAX = 2 ** 26;
/** Exits of a guest that is to be written down. The recorded ones stop at 40. */
const EXITS_MAX = 100_000;
/** First guest-physical address that no processor has. */
const GPA_END = 2 ** 52;

/** Refuses a case that is out of bounds; `at` says where it stands. */
export function checkLimits(c: OracleCase, at: string): void {
  const refuse = (where: string, says: string): never => {
    throw new UsageError(`${at}: not a recorded case: ${where}: ${says}`);
  };
  const whole = (where: string, value: number, end: number): void => {
    if (!Number.isSafeInteger(value) || value < 0 || value >= end)
      refuse(where, `${value} is no whole number from 0 and below 2^${Math.log2(end)}`);
  };
  let bytes = 0;
  for (const [i, s] of c.slots.entries()) {
    for (const [key, end] of Object.entries({
      id: 2 ** 32,
      gpa: GPA_END,
      size: GPA_END,
      flags: 2 ** 32,
      fill: 2 ** 8,
    }))
      whole(`slots[${i}].${key}`, s[key as 'gpa'], end);
    bytes += s.size;
    if (bytes > MEMORY_MAX)
      refuse(`slots[${i}].size`, `the slots hold ${bytes} bytes; the limit is ${MEMORY_MAX}`);
  }
  for (const [i, { gpa }] of c.load.entries()) whole(`load[${i}].gpa`, gpa, GPA_END);
  for (const [name, value] of Object.entries(c.regs)) whole(`regs.${name}`, value, 2 ** 53);
  for (const [name, value] of Object.entries(c.segs)) whole(`segs.${name}`, value, 2 ** 32);
  if (c.cr3 !== undefined) whole('cr3', c.cr3, GPA_END);
  whole('mmioRead', c.mmioRead, 2 ** 8);
  whole('maxExits', c.maxExits, 2 ** 32);
  if (c.maxExits > EXITS_MAX) refuse('maxExits', `${c.maxExits}; the limit is ${EXITS_MAX}`);
  for (const [i, a] of c.actions.entries()) {
    const slot = c.slots.find((s) => s.id === a.slot);
    const offset = a.offset ?? 0;
    whole(`actions[${i}].offset`, offset, GPA_END);
    whole(`actions[${i}].flags`, a.flags ?? 0, 2 ** 32);
    if (a.hex !== undefined && !/^([0-9a-f]{2})*$/i.test(a.hex))
      refuse(`actions[${i}].hex`, 'has to be pairs of hex digits');
    if (slot !== undefined && offset + (a.hex ?? '').length / 2 > slot.size)
      refuse(`actions[${i}].offset`, 'it pokes beyond the end of its slot');
  }
}
