/** One run: a scenario under a strategy on a fresh machine, judged and put into a `Run`. */
import { toHex } from '../../engine/hex.ts';
import {
  type EngineName,
  type Machine,
  MachineCannot,
  MachineLost,
  type Paging,
  type VcpuRegs,
} from '../../engine/machine.ts';
import { FAULT_KINDS, type StepCounts } from '../../engine/observation.ts';
import type { PlannedVmm } from '../../engine/vmm/answers.ts';
import type { Place, Region } from '../../engine/vmm/place.ts';
import { Vmm } from '../../engine/vmm/vmm.ts';
import type { Strategy } from '../../strategies/strategy.ts';
import { checkClaims, predictionsOf } from '../language/claims.ts';
import { CODE_AT, Guest } from '../language/guest.ts';
import type { AnyParams } from '../language/params.ts';
import { refusePromise } from '../language/promise.ts';
import { randomBytes } from '../language/random.ts';
import { LOW, LOW_RAM } from '../language/regions.ts';
import type { Expected, Scenario } from '../language/scenario.ts';
import { because } from './because.ts';
import { type Fate, NOT_OBSERVABLE, type RomWrite, type Run } from './comparison.ts';
import { driveLooking, type Ending } from './drive.ts';
import { emptyRun } from './empty-run.ts';

/** Faults whose life is kept. */
const LIFE_MAX = 8;
/** Changed stretches of a ROM that are listed. */
const LANDED_MAX = 64;
/** Where the stack starts; it grows down in low memory, away from the code. */
const STACK_TOP = 0xf000;

/** A guest program and its places, made once and run under every strategy. */
export interface Program {
  readonly scenario: Scenario;
  readonly params: AnyParams;
  readonly places: Readonly<Record<string, Place>>;
  readonly code: Uint8Array;
}

/** Lays the regions' images out and assembles the guest. */
export function prepareProgram(scenario: Scenario, params: AnyParams, seed: number): Program {
  const places: Record<string, Place> = {};
  for (const [name, region] of Object.entries({ [LOW]: LOW_RAM, ...scenario.memory })) {
    places[name] = placeOf(name, region, params, seed);
  }
  const guest = new Guest(scenario.mode ?? 'prot32', Object.keys(scenario.actions ?? {}));
  refusePromise('guest()', scenario.guest(guest, places, params));
  return { scenario, params, places, code: guest.bytes() };
}

function placeOf(name: string, region: Region, params: AnyParams, seed: number): Place {
  const image = new Uint8Array(region.bytes);
  const content = region.content?.(region.bytes, randomBytes(seed, name), params);
  if (content !== undefined) image.set(content.subarray(0, region.bytes));
  return { ...region, name, end: region.at + region.bytes, image };
}

/** A VM ready for its first KVM_RUN. */
export function bootProgram(program: Program, strategy: Strategy, machine: Machine): PlannedVmm {
  const { scenario, params } = program;
  const vmm = new Vmm(machine, strategy, Object.values(program.places), params);
  vmm.poke(LOW, CODE_AT, program.code);
  refusePromise(`scenario ${scenario.name}: before()`, scenario.before?.(vmm, params));
  machine.setupVcpu({
    mode: scenario.mode ?? 'prot32',
    regs: { rip: CODE_AT, rsp: STACK_TOP },
    ...(scenario.cr3 === undefined ? {} : { cr3: scenario.cr3 }),
  });
  vmm.slotOps = 0;
  return vmm;
}

/** Guest instructions one KVM_RUN may take before the guest counts as looping: some, and some more an operation. */
export const budgetOf = ({ scenario, params }: Program): number =>
  2 ** 27 + 256 * scenario.operations(params);

/** How many exits a guest may cause before it counts as looping. */
export const exitsMaxOf = ({ scenario, params }: Program): number =>
  10_000 + 64 * scenario.operations(params);

/** Runs the program once and judges what happened; undefined if `stop` ended it. */
export async function runProgram(
  program: Program,
  strategy: Strategy,
  paging: Paging,
  machine: Machine,
  stop: () => Promise<boolean>,
): Promise<Run | undefined> {
  try {
    return await runToEnd(program, strategy, paging, machine, stop);
  } catch (error) {
    if (error instanceof MachineLost) return lostRun(program, strategy, paging, machine.engine, error);
    if (error instanceof MachineCannot) return refusedRun(program, strategy, paging, machine.engine, error);
    throw error;
  }
}

async function runToEnd(
  program: Program,
  strategy: Strategy,
  paging: Paging,
  machine: Machine,
  stop: () => Promise<boolean>,
): Promise<Run | undefined> {
  const { scenario, params } = program;
  const vmm = bootProgram(program, strategy, machine);
  const booted = machine.observe().steps;
  const ending = await driveLooking(vmm, scenario, params, exitsMaxOf(program), stop);
  if (ending === undefined) return undefined;
  // What the machine saw is taken before the VMM looks at the memory.
  const observation = machine.observe();
  const regs = machine.getRegs();
  const { landed, intact } = compareRoms(vmm);
  const { fate, detail } = judge(program, ending, regs, intact);
  const operations = Number(BigInt.asUintN(32, regs.gpr[5] ?? 0n));
  const measured = { fate, exits: ending.exits, slotOps: vmm.slotOps, operations, romIntact: intact };
  const observed = { ...faultCounts(observation.faults), ...vmm.notes, ...scenario.observe?.(vmm, regs) };
  const finding = scenario.finding?.(observed);
  // A run that Faultline itself could not follow bears nobody out.
  const claimed = strategy.claimed ?? strategy.name;
  const rows = fate === 'unsupported' ? {} : (scenario.claims?.({ params, paging }) ?? {});
  const row = Object.hasOwn(rows, claimed) ? rows[claimed] : undefined;
  const steps = stepsSince(observation.steps, booted);
  const told = machine.observes.has('life') ? machine.life(LIFE_MAX) : undefined;
  return {
    scenario: scenario.name,
    strategy: strategy.name,
    paging,
    engine: machine.engine,
    ...measured,
    detail: detailOf(program, detail, fate, operations),
    ...(finding === undefined ? {} : { finding }),
    because: because({
      engine: machine.engine,
      strategy,
      paging,
      fate,
      detail,
      exits: ending.exits,
      instruction: ending.instruction,
      ...(ending.blind ? { blind: true } : {}),
      inRom: vmm.placeAt(Number(regs.rip))?.kind === 'rom',
      romIntact: intact,
      tablesInRom: scenario.cr3 !== undefined && vmm.placeAt(scenario.cr3)?.kind === 'rom',
      decisions: observation.decisions,
      steps,
      lastFault: observation.lastFault,
    }),
    ...present('faults', observation.faults),
    ...present('decisions', observation.decisions),
    ...present('steps', steps),
    ...present('stepsPerOperation', steps && (operations === 0 ? 0 : totalOf(steps) / operations)),
    predictions: row === undefined ? [] : predictionsOf(row, measured, observed),
    claims: row === undefined ? [] : checkClaims(row, measured, observed),
    ...present('measured', observation.kernelInstructions),
    ...present('life', told),
    romWrites: [...ending.romWrites, ...landed].slice(0, LANDED_MAX),
    ...present('digest', observation.digest),
  };
}

/** The engine has no way to do what the scenario asks of it. */
const refusedRun = (
  { scenario }: Program,
  strategy: Strategy,
  paging: Paging,
  engine: EngineName,
  { message }: MachineCannot,
): Run => ({
  ...emptyRun({ scenario: scenario.name, strategy: strategy.name, paging, engine }),
  fate: 'unsupported',
  detail: message,
  because: `Faultline has no way to do this yet: ${message}.`,
});

/** The kernel under test was lost: that is what is known of the run. */
const lostRun = (
  { scenario }: Program,
  strategy: Strategy,
  paging: Paging,
  engine: EngineName,
  { fate, message }: MachineLost,
): Run => ({
  ...emptyRun({ scenario: scenario.name, strategy: strategy.name, paging, engine }),
  fate,
  detail: message,
  because: `The kernel under test did not live through it: ${message}.`,
});

/** Steps of the run alone: setting the memory up is no part of it. */
const stepsSince = (now: StepCounts | undefined, before: StepCounts | undefined): StepCounts | undefined =>
  now && Object.fromEntries(Object.entries(now).map(([step, n]) => [step, n - (before?.[step] ?? 0)]));

/** A field of a run, or none where the engine could not observe it. */
const present = <K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } =>
  value === undefined ? {} : ({ [key]: value } as { readonly [P in K]: V });

const totalOf = (steps: StepCounts): number => Object.values(steps).reduce((sum, n) => sum + n, 0);

/** A finished guest is `ok` only if the ROM holds what it should and the guest read what it should. */
function judge(
  program: Program,
  ending: Ending,
  regs: VcpuRegs,
  intact: boolean,
): { fate: Fate; detail: string } {
  if (ending.fate !== 'ok') return ending;
  if (!intact)
    return { fate: 'corrupt', detail: 'the guest finished, and the ROM holds other bytes than it should' };
  const expected = program.scenario.expect?.(program.places, program.params) ?? {};
  const wrong = firstWrong(expected, regs);
  return wrong === undefined ? ending : { fate: 'corrupt', detail: `the guest finished with ${wrong}` };
}

/** Registers a scenario may expect something of, as `VcpuRegs` orders them. */
export const REGISTER_ORDER: readonly string[] = ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi'];

function firstWrong(expected: Expected, regs: VcpuRegs): string | undefined {
  for (const [name, value] of Object.entries(expected)) {
    const index = REGISTER_ORDER.indexOf(name);
    if (index < 0) throw new Error(`scenario: no register '${name}' to expect something of`);
    const seen = Number(BigInt.asUintN(32, regs.gpr[index] ?? 0n));
    if (value !== undefined && seen !== value >>> 0) {
      return `${name} = 0x${seen.toString(16)} instead of 0x${(value >>> 0).toString(16)}`;
    }
  }
  return undefined;
}

function detailOf(program: Program, detail: string, fate: Fate, operations: number): string {
  const { scenario, params } = program;
  if (fate === 'ok' || fate === 'corrupt')
    return `${detail} (${operations.toLocaleString('en-US')} × ${scenario.operation})`;
  const total = scenario.operations(params);
  const [next, last] = [operations + 1, total].map((n) => n.toLocaleString('en-US'));
  if (operations >= total) return `${detail}, after the last ${scenario.operation} (${last})`;
  return `${detail}, at ${scenario.operation} ${next} of ${last}`;
}

/** Holds every ROM against what it should contain; changed stretches count as writes that landed. */
function compareRoms(vmm: Vmm): { landed: RomWrite[]; intact: boolean } {
  const landed: RomWrite[] = [];
  let intact = true;
  for (const rom of vmm.roms) {
    if (rom.unlocked) continue;
    const { at, bytes } = rom.place;
    const seen = rom.peek(0, bytes);
    for (let i = 0; i < bytes; i++) {
      if (seen[i] === rom.expected[i]) continue;
      intact = false;
      let end = i + 1;
      while (end < bytes && end - i < 8 && seen[end] !== rom.expected[end]) end += 1;
      if (landed.length < LANDED_MAX) {
        const data = toHex(seen.subarray(i, end));
        landed.push({ rip: '', gpa: (at + i).toString(16), data, became: 'landed' });
      }
      i = end - 1;
    }
  }
  return { landed, intact };
}

/** Fault counts under the names that claims use: `faults.fixed`. */
function faultCounts(faults: Run['faults']): Record<string, number | string> {
  return Object.fromEntries(FAULT_KINDS.map((kind) => [`faults.${kind}`, faults?.[kind] ?? NOT_OBSERVABLE]));
}
