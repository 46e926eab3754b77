/** What a VMM answers to an exit unless it was told otherwise: from a device, from memory, or as an empty bus does. */
import type { ExitRecord } from '../exits.ts';
import { type Decoded, decodeAt } from './instruction.ts';
import type { Vmm } from './vmm.ts';

/** Bytes of the longest x86 instruction. */
const INSTRUCTION_BYTES_MAX = 15;

/** A read: the device's answer, the memory's bytes, or all ones. */
export function answerMmioRead(vmm: Vmm, exit: ExitRecord): void {
  const memory = vmm.memoryAt(exit.physAddr);
  if (memory?.device !== undefined) memory.device.read(exit.physAddr - memory.place.at, exit.len, exit.data);
  else if (memory?.present) exit.data.set(memory.peek(exit.physAddr - memory.place.at, exit.len));
  else exit.data.fill(0xff, 0, exit.len);
}

/** A write: to the device, or to memory that the VMM takes writes to; others go nowhere. */
export function answerMmioWrite(vmm: Vmm, exit: ExitRecord): void {
  const memory = vmm.memoryAt(exit.physAddr);
  if (memory === undefined || memory.place.kind !== 'rom') return;
  const offset = exit.physAddr - memory.place.at;
  if (memory.device !== undefined) memory.device.write(offset, exit.len, exit.data);
  else if (memory.unlocked) memory.poke(offset, exit.data.slice(0, exit.len));
}

/** Input from a port that nobody has: all ones. */
export function answerPortInput(exit: ExitRecord): void {
  exit.data.fill(0xff, 0, exit.len);
}

/** The instruction at rip, read through the alias as a VMM would; undefined outside the guest's memory. */
export function stoppedAt(vmm: Vmm, bits: 32 | 64): Decoded | undefined {
  const regs = vmm.machine.getRegs();
  const rip = Number(regs.rip);
  const memory = vmm.memoryAt(rip);
  if (memory === undefined) return undefined;
  const length = Math.min(INSTRUCTION_BYTES_MAX, memory.place.end - rip);
  return decodeAt(memory.peek(rip - memory.place.at, length), bits, regs);
}
