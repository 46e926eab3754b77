/**
 * A scenario: one question about read-only guest memory, a guest that asks it in real machine code, what the
 * VMM does meanwhile, and beside the question the claims, strategy by strategy, that every run is held against.
 */
import type { Paging, VcpuRegs } from '../../engine/machine.ts';
import type { Place } from '../../engine/vmm/place.ts';
import type { Vmm } from '../../engine/vmm/vmm.ts';
import type { ClaimRow } from './claims.ts';
import type { Guest } from './guest.ts';
import type { AnyParams, ParamSpecs, ParamValues } from './params.ts';
import type { Memory } from './regions.ts';

/** The places of a scenario by the names of its regions. */
export type Places<M extends Memory> = { readonly [K in keyof M]: Place };

/** What the VMM does when the guest asks for it (`Guest.vmm()`). */
export type Action = (vmm: Vmm, params: AnyParams) => void;
export type Actions = Readonly<Record<string, Action>>;

/** What one run is made with, for those who compute what to expect of it. */
export interface ClaimContext<P> {
  readonly params: P;
  readonly paging: Paging;
}

/** Registers a guest should end with, by name (eax … edi), lowest 32 bits; `undefined` values are not looked at. */
export type Expected = Readonly<Record<string, number | undefined>>;

/** A scenario as its author writes it. */
export interface ScenarioSpec<M extends Memory, P extends ParamSpecs> {
  /** Kebab-case: the file's name and the command line's. */
  readonly name: string;
  /** The question, in one sentence. */
  readonly asks: string;
  /** What one guest operation is, in one or two words; the guest counts them with `Guest.done()`. */
  readonly operation: string;
  /** Message, commit or program the question comes from. */
  readonly source: string;
  readonly params?: P;
  readonly memory: M;
  /** Flat 32-bit mode unless the question needs paging: then 64-bit, with `cr3()` giving the tables. */
  readonly mode?: 'prot32' | 'long64';
  readonly cr3?: number;
  /** What the VMM does before the guest starts: evict pages, build page tables. */
  before?(vmm: Vmm, params: ParamValues<P>): void;
  readonly actions?: Actions;
  /** Writes the program. ebp is 0 at the start and counts operations; it ends with `halt()`. */
  guest(g: Guest, places: Places<M>, params: ParamValues<P>): void;
  /** How many operations a guest that lives does. */
  operations(params: ParamValues<P>): number;
  /** What the guest should have read, by register, if it finished. */
  expect?(places: Places<M>, params: ParamValues<P>): Expected;
  /** Anything else to be told about a finished or dead run: words or numbers by name, claimed like the rest. */
  observe?(vmm: Vmm, regs: VcpuRegs): Readonly<Record<string, number | string>>;
  /** What the guest found out, in a few words, where finding out is what it does; made from what was observed. */
  finding?(observed: Readonly<Record<string, number | string>>): string | undefined;
  /** What is claimed of each strategy: one row a strategy, crosses by their full name; nothing if left out. */
  claims?(context: ClaimContext<ParamValues<P>>): Readonly<Record<string, ClaimRow>>;
}

/** A scenario with its types forgotten: what the runner works on. */
export type Scenario = ScenarioSpec<Memory, ParamSpecs>;

/**
 * Identity, so that an editor completes region and parameter names and the compiler checks them.
 */
export function defineScenario<const M extends Memory, const P extends ParamSpecs>(
  scenario: ScenarioSpec<M, P>,
): Scenario {
  return scenario as unknown as Scenario;
}
