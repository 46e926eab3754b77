/** A VM of the C port, laid out as a machine of the core is. */
import { KVM_MEM_READONLY, PROT_WRITE } from '../../engine/abi.ts';
import type { GuestLayout, RomSpec } from '../../engine/core/batch/bench-machine.ts';
import { MMAP_BASE, MMAP_GAP } from '../../engine/core/host/address-space.ts';
import { RING, STEP_COUNTS, Vm, WORDS } from '../../engine/core/vm.ts';
import { FACT_WORDS } from '../../engine/facts.ts';
import { STEP_INDEX, type Step } from '../../engine/steps.ts';
import type { CPort } from './addon.ts';

/** One VM; `drop()` gives its memory back. */
export class CMachine {
  readonly #port: CPort;
  readonly #vm: number;

  /** `policy` is a number of the port's; `frames` are those of the pages that will be touched. */
  constructor(port: CPort, policy: number, rom: RomSpec['layout'], guest: GuestLayout, frames: number) {
    const { ramPages, roms, romGfn, romPages, gap } = guest;
    const { slotFlags } = rom;
    const flags = [
      slotFlags !== null,
      ((slotFlags ?? 0) & KVM_MEM_READONLY) !== 0,
      (rom.prot & PROT_WRITE) !== 0,
      rom.shared,
      rom.backing === 'file',
    ];
    const layout = [ramPages, roms, romGfn, romPages, gap, ...flags.map(Number), frames, MMAP_BASE, MMAP_GAP];
    this.#port = port;
    this.#vm = port.make(policy, Int32Array.from(layout));
  }

  /** AccessBatch.runReads() of a list of the port's. */
  runReads(list: number, mask: number, n: number): number {
    return this.#port.runReads(this.#vm, list, mask, n) | 0;
  }

  /** AccessBatch.runWrites(), but for what it returns. */
  runWrites(list: number, mask: number, n: number): number {
    return this.#port.runWrites(this.#vm, list, mask, n);
  }

  /** The entries of a list's first `n` pages go, and with `evict` the pages leave memory. */
  zap(list: number, n: number, evict: boolean): void {
    this.#port.zap(this.#vm, list, n, evict ? 1 : 0);
  }

  /** Events, fault words and steps where the core's heap has them, to be read by what reads the core's. */
  heap(): Vm {
    const port = this.#port;
    const vm = new Vm(new Int32Array(FACT_WORDS));
    vm.digestsEveryEvent = false;
    vm.h.set(port.events(this.#vm), RING);
    vm.h.set(port.words(this.#vm), WORDS);
    const steps = port.steps(this.#vm);
    port.stepNames.forEach((name, i) => {
      vm.h[STEP_COUNTS + STEP_INDEX[name as Step]] = steps[i] ?? 0;
    });
    return vm;
  }

  /** Frees it. */
  drop(): void {
    this.#port.drop(this.#vm);
  }
}
