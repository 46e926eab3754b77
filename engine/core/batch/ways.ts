/**
 * Steps of a batch of accesses. An access ends in one of a few ways, and each way costs the same steps every time:
 * the batch counts ways while it runs and turns them into steps when it is over.
 */
import { STEP_INDEX, type Step } from '../../steps.ts';
import * as path from '../kvm/fault/fault-path.ts';
import { SPTE_PRESENT } from '../kvm/paging/stage2.ts';
import { STEP_COUNTS, type Vm } from '../vm.ts';

const { V_ACTION, V_EFAULT, V_EMULATE, V_HVA_OK, V_MAP } = path;
/** Folded into machine code where it is used, unlike an import. */
const PRESENT = SPTE_PRESENT;

const EMULATED: readonly Step[] = ['world-switch', 'emulate-decode', 'emulate-access'];
const EXIT: readonly Step[] = ['mmio-exit', 'userspace-exit', 'syscall'];

/** The ways by number; their steps in the same order. A load from a device is executed again with the answer. */
const WAYS: readonly (readonly Step[])[] = [
  ['world-switch'],
  [...EMULATED, ...EXIT],
  [...EMULATED, 'emulate-access', ...EXIT],
  [...EMULATED, ...EXIT],
  [...EMULATED, 'emulate-access', ...EXIT],
  EMULATED,
  EMULATED,
  ['world-switch', 'userspace-exit', 'syscall'],
  [...EMULATED, 'host-fault', ...EXIT],
  ['world-switch', 'emulate-decode'],
];

/** A fault was served and the guest goes on. */
export const WAY_FIXED = 0;
/** Memory refused the emulated access; it left as MMIO. */
export const WAY_STORE_REFUSED = 1;
export const WAY_LOAD_REFUSED = 2;
/** The page is known to be a device. */
export const WAY_DEVICE_STORE = 3;
export const WAY_DEVICE_LOAD = 4;
/** The emulator did it on memory. */
export const WAY_STORE_COPIED = 5;
export const WAY_LOAD_COPIED = 6;
/** KVM_RUN returned -EFAULT. */
export const WAY_EFAULT = 7;
/** The host refused the emulator's copy: a fault of its own. */
export const WAY_STORE_FAULTED = 8;
/** retry_instruction(): decoded, and the guest entered again to fault a second time. */
export const WAY_RETRIED = 9;

const STEPS_OF_WAY = WAYS.map((steps) => Int32Array.from(steps, (s) => STEP_INDEX[s]));

/**
 * What the lane counts apart: a verdict's action, whether the emulator would get an address, and whether there was an
 * entry already (fast_page_fault() then looked at it first). Without an action: a page known to be a device.
 */
export const KINDS = 32;
const KIND_HVA_OK = 8;
/** …with an entry already. */
export const KIND_PRESENT = 16;
/** No verdict: a device. */
export const KIND_DEVICE_LOAD = 0;
export const KIND_DEVICE_STORE = KIND_HVA_OK;
/** The kind of a verdict over an old entry. */
export const kindOf = (verdict: number, spte: number): number =>
  (verdict & V_ACTION) | ((verdict & V_HVA_OK) !== 0 ? KIND_HVA_OK : 0) | ((spte & PRESENT) << 4);

/** How an access of each kind ends; kinds that cannot be are left out. */
export const WAY_OF_KIND: readonly (readonly [kind: number, way: number])[] = [
  [KIND_DEVICE_LOAD, WAY_DEVICE_LOAD],
  [KIND_DEVICE_STORE, WAY_DEVICE_STORE],
  ...[0, KIND_PRESENT].flatMap((present): [number, number][] => [
    [V_MAP | present, WAY_FIXED],
    [V_MAP | KIND_HVA_OK | present, WAY_FIXED],
    [V_EMULATE | present, WAY_STORE_REFUSED],
    [V_EMULATE | KIND_HVA_OK | present, WAY_STORE_FAULTED],
    [V_EFAULT | present, WAY_EFAULT],
    [V_EFAULT | KIND_HVA_OK | present, WAY_EFAULT],
  ]),
];

/** How often each way was gone since the steps were last settled. */
export class WayCounts {
  readonly #ways = new Int32Array(WAYS.length);

  /** One access more ended so. */
  count(way: number): void {
    this.#ways[way]!++;
  }

  /** So many accesses more ended so. */
  add(way: number, times: number): void {
    this.#ways[way]! += times;
  }

  /** Adds what the ways cost to the machine's counters. */
  settle(vm: Vm): void {
    const { h } = vm;
    for (let way = 0; way < STEPS_OF_WAY.length; way++) {
      const times = this.#ways[way]!;
      if (times === 0) continue;
      this.#ways[way] = 0;
      const steps = STEPS_OF_WAY[way]!;
      for (let i = 0; i < steps.length; i++) h[STEP_COUNTS + steps[i]!]! += times;
    }
  }
}
