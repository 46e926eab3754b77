/**
 * Two engines on the same scenario under the same layout: everything a VMM can see, event by event, and what became of
 * registers and ROM. The first difference is kept with both sides.
 */
import type { Machine, Paging, VcpuRegs } from '../../engine/machine.ts';
import type { Strategy } from '../../strategies/strategy.ts';
import type { Run } from '../run/comparison.ts';
import { type Program, runProgram } from '../run/run.ts';
import { type SeenRun, Transcript } from './transcript.ts';

/** One difference, in the order a reader would look. */
export interface Divergence {
  /** `KVM_RUN 12`, `fate`, `eax`. */
  readonly where: string;
  readonly core: string;
  readonly kernel: string;
}

/** A scenario under a layout, on both. */
export interface Verified {
  readonly scenario: string;
  readonly strategy: string;
  /** Calls of KVM_RUN that were compared. */
  readonly events: number;
  /** The first difference; absent where both agree. */
  readonly divergence?: Divergence;
  /** Why the first difference is expected, if it is. */
  readonly known?: string;
}

interface Side {
  readonly run: Run;
  readonly transcript: Transcript;
  readonly regs: VcpuRegs | undefined;
}

const GPR = ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi'];

/** Runs the program on both and compares; `kernel` may be lost on the way, which is a difference like any other. */
export async function verify(
  program: Program,
  strategy: Strategy,
  paging: Paging,
  machines: { readonly core: () => Machine; readonly kernel: () => Machine },
): Promise<Verified> {
  const core = await side(program, strategy, paging, machines.core());
  const kernel = await side(program, strategy, paging, machines.kernel());
  const divergence = firstDivergence(core, kernel);
  return {
    scenario: program.scenario.name,
    strategy: strategy.name,
    events: Math.min(core.transcript.total, kernel.transcript.total),
    ...(divergence === undefined ? {} : { divergence }),
  };
}

async function side(program: Program, strategy: Strategy, paging: Paging, machine: Machine): Promise<Side> {
  const transcript = new Transcript(machine);
  const run = await runProgram(program, strategy, paging, machine, async () => false);
  if (run === undefined) throw new Error('bug: a run that nobody stopped was stopped');
  const lost = run.fate === 'kernel-panic' || run.fate === 'hung';
  return { run, transcript, regs: lost ? undefined : machine.getRegs() };
}

function firstDivergence(core: Side, kernel: Side): Divergence | undefined {
  const [a, b] = [core.transcript.events, kernel.transcript.events];
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const [x, y] = [eventText(a[i]), eventText(b[i])];
    if (x !== y) return { where: `KVM_RUN ${i + 1}`, core: x, kernel: y };
  }
  const facts: readonly (readonly [string, string, string])[] = [
    ['fate', core.run.fate, kernel.run.fate],
    ['operations', String(core.run.operations), String(kernel.run.operations)],
    ['ROM', romText(core.run), romText(kernel.run)],
    ...GPR.map((name, i) => [name, registerText(core, i), registerText(kernel, i)] as const),
  ];
  const differing = facts.find(([, x, y]) => x !== y);
  return differing && { where: differing[0], core: differing[1], kernel: differing[2] };
}

const eventText = (e: SeenRun | undefined): string =>
  e === undefined ? 'nothing more' : `${e.says}, rip ${e.rip}`;
const romText = ({ romIntact }: Run): string => (romIntact ? 'kept' : 'LOST');
const registerText = ({ regs }: Side, i: number): string =>
  regs === undefined ? 'gone with the kernel' : BigInt.asUintN(32, regs.gpr[i] ?? 0n).toString(16);
