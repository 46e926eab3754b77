/**
 * What a VMM answers to an exit: what its plan says, or else from a device, from memory, or as an empty bus does.
 * A strategy is such a plan, with a series of patches to the kernel.
 */
import { PROT_WRITE } from '../abi.ts';
import type { ExitRecord } from '../exits.ts';
import { type Decoded, decodeAt } from './instruction.ts';
import type { MemoryPlan } from './layout.ts';
import type { Vmm } from './vmm.ts';

/**
 * What a VMM can do about an exit: `default`, what it would do without a handler; `retry`, enter the guest again, the
 * handler has seen to it; `skip`, step over the instruction at rip; `die`, give the VM up.
 */
const REMEDIES = ['default', 'retry', 'skip', 'die'] as const;
export type Remedy = (typeof REMEDIES)[number];

/** A VMM's own answer to an exit. Returning nothing means that it has been seen to (`retry`). */
export type ExitHandler = (vmm: PlannedVmm, exit: ExitRecord) => Remedy | undefined;

/** The same for -EFAULT, with the instruction at rip if it could be decoded. */
export type EfaultHandler = (
  vmm: PlannedVmm,
  exit: ExitRecord,
  stopped: Decoded | undefined,
) => Remedy | undefined;

/** What the VMM does when the guest comes out. */
export interface Answers extends NonNullable<MemoryPlan['vmm']> {
  /**
   * After KVM_RUN gave -EFAULT: `die`; `skip` the instruction (decode it at rip and step over it); `retry`, which makes
   * the mapping under the store writable first; or a handler. Default: die, for KVM says neither address nor data.
   */
  readonly onEfault?: 'die' | 'skip' | 'retry' | EfaultHandler;
  /** Memory that nothing took or answers. Default: from a device, from memory, or as an empty bus does. */
  readonly onMmio?: ExitHandler;
  /** A port that is not the scenario's. Default: all ones. */
  readonly onPort?: ExitHandler;
  /** What reading an address or a port with nothing behind it gives: `kept` leaves `kvm_run`'s data as it was. Default: ones. */
  readonly emptyBus?: 'ones' | 'zeros' | 'kept';
}

/** A VMM: the layout it gives a ROM, and its answers. */
export interface VmmPlan extends MemoryPlan {
  readonly vmm?: Answers;
}

/** A VMM that answers by its plan. */
export type PlannedVmm = Vmm<VmmPlan>;

/** Bytes of the longest x86 instruction. */
const INSTRUCTION_BYTES_MAX = 15;

/** A read: the device's answer, the memory's bytes, or all ones. */
export function answerMmioRead(vmm: PlannedVmm, exit: ExitRecord): void {
  const memory = vmm.memoryAt(exit.physAddr);
  if (memory?.device !== undefined) memory.device.read(exit.physAddr - memory.at, exit.len, exit.data);
  else if (memory?.present) exit.data.set(memory.peek(exit.physAddr - memory.at, exit.len));
  else answerEmptyBus(vmm, exit);
}

/** A write: to the device, or to memory that the VMM takes writes to; others go nowhere. */
export function answerMmioWrite(vmm: Vmm, exit: ExitRecord): void {
  const memory = vmm.memoryAt(exit.physAddr);
  if (memory === undefined || memory.place.kind !== 'rom') return;
  const offset = exit.physAddr - memory.at;
  if (memory.device !== undefined) memory.device.write(offset, exit.len, exit.data);
  else if (memory.unlocked) memory.poke(offset, exit.data.slice(0, exit.len));
}

/** What the VMM does about -EFAULT: what its plan says, and for `retry` the repair as well. */
export function answerEfault(vmm: PlannedVmm, exit: ExitRecord, stopped: Decoded | undefined): Remedy {
  const says = vmm.plan.vmm?.onEfault ?? 'die';
  if (typeof says === 'function') return checked('onEfault', says(vmm, exit, stopped));
  if (says === 'retry') return makeWritable(vmm, stopped) ? 'retry' : 'die';
  return says === 'skip' && stopped?.memory?.write === true ? 'skip' : 'die';
}

/** What a handler of the plan says about an exit; `default` where it has none. */
export function askHandler(vmm: PlannedVmm, name: 'onMmio' | 'onPort', exit: ExitRecord): Remedy {
  const handler = vmm.plan.vmm?.[name];
  return handler === undefined ? 'default' : checked(name, handler(vmm, exit));
}

/** A handler's answer; nothing means that it has seen to it. */
function checked(name: string, answer: Remedy | undefined): Remedy {
  if (answer === undefined) return 'retry';
  if (REMEDIES.includes(answer) && (name === 'onEfault' || answer !== 'skip')) return answer;
  const known = REMEDIES.filter((r) => name === 'onEfault' || r !== 'skip').map((r) => `'${r}'`);
  throw new Error(`vmm.${name}() returned ${JSON.stringify(answer)}: expected nothing, ${known.join(', ')}`);
}

/** The VMM maps the memory under a store writable, as dosemu2 repairs the cause; false where that is not the cause. */
function makeWritable(vmm: Vmm, stopped: Decoded | undefined): boolean {
  const memory = stopped?.memory?.write ? vmm.memoryAt(stopped.memory.address) : undefined;
  if (memory === undefined || (memory.protection & PROT_WRITE) !== 0) return false;
  return memory.protect(memory.protection | PROT_WRITE) >= 0;
}

/** A read of nothing, memory or port: all ones unless the VMM does otherwise. */
export function answerEmptyBus(vmm: PlannedVmm, exit: ExitRecord): void {
  const bus = vmm.plan.vmm?.emptyBus ?? 'ones';
  if (bus !== 'kept') exit.data.fill(bus === 'ones' ? 0xff : 0, 0, exit.len * exit.count);
}

/** The instruction at rip, read through the alias as a VMM would; undefined outside the guest's memory. */
export function stoppedAt(vmm: Vmm, bits: 32 | 64): Decoded | undefined {
  const regs = vmm.machine.getRegs();
  const rip = Number(regs.rip);
  const memory = vmm.memoryAt(rip);
  if (memory === undefined) return undefined;
  const length = Math.min(INSTRUCTION_BYTES_MAX, memory.end - rip);
  return decodeAt(memory.peek(rip - memory.at, length), bits, regs);
}
