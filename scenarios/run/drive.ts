/**
 * Drives the guest of a scenario to its end: the handlers of its VMM, which keep counts and say how it ended. Every
 * run ends: a guest that makes no progress is reported by the machine, and one that only exits runs into a bound.
 */
import { errnoName } from '../../engine/abi.ts';
import {
  type ExitKind,
  type ExitName,
  type ExitRecord,
  exitSays,
  isCounted,
  noExits,
} from '../../engine/exits.ts';
import { toHex } from '../../engine/hex.ts';
import type { Machine } from '../../engine/machine.ts';
import {
  answerEfault,
  answerEmptyBus,
  answerMmioRead,
  answerMmioWrite,
  askHandler,
  type PlannedVmm,
  type Remedy,
  stoppedAt,
} from '../../engine/vmm/answers.ts';
import type { Decoded } from '../../engine/vmm/instruction.ts';
import { type OnExit, runVcpu } from '../../engine/vmm/loop.ts';

import { ACTION_PORT } from '../language/guest.ts';
import type { AnyParams } from '../language/params.ts';
import type { Scenario } from '../language/scenario.ts';
import type { Fate, RomWrite } from './comparison.ts';

/** Attempted writes to the ROM that are kept. */
const ROM_WRITES_MAX = 64;
/** MMIO exits without an address, one after the other, before the guest counts as looping. */
const BLIND_EXITS_MAX = 64;
/** Exits between two looks at the world: a few hundredths of a second. */
const EXITS_AT_ONCE = 8192;

/** How a run ended. `ok` is provisional: the memory has not been looked at. */
export interface Ending {
  readonly fate: Fate;
  readonly detail: string;
  /** The instruction the guest died at, where it could be decoded. */
  readonly instruction?: Decoded;
  /** The exits were of the kind that carries no address. */
  readonly blind?: boolean;
  readonly exits: Record<ExitKind, number>;
  readonly romWrites: RomWrite[];
}

/** Runs the guest of `scenario` until it halts, dies or is found looping. */
export function drive(vmm: PlannedVmm, scenario: Scenario, params: AnyParams, exitsMax: number): Ending {
  return new Drive(vmm, scenario, params).run(exitsMax);
}

/** Drives a guest, asking every so many exits whether to stop; undefined when told so. */
export function driveLooking(
  vmm: PlannedVmm,
  scenario: Scenario,
  params: AnyParams,
  exitsMax: number,
  stop: () => Promise<boolean>,
): Promise<Ending | undefined> {
  return new Drive(vmm, scenario, params).runLooking(exitsMax, stop);
}

/** What became of a store that -EFAULT answered, by what the VMM did about it. */
const BECAME: Readonly<Record<Remedy, string>> = {
  skip: 'stepped over',
  retry: 'tried again',
  die: 'efault',
  default: 'efault',
};

class Drive {
  private readonly exits = noExits();
  private readonly romWrites: RomWrite[] = [];
  private readonly machine: Machine;
  private readonly vmm: PlannedVmm;
  private readonly scenario: Scenario;
  private readonly params: AnyParams;
  private readonly actions: readonly string[];
  private blind = 0;

  /** What is done about each exit. */
  private readonly answers: Readonly<Record<ExitName, (exit: ExitRecord) => Ending | undefined>> = {
    'mmio-read': (exit) => this.mmio(exit),
    'mmio-write': (exit) => this.mmio(exit),
    io: (exit) => this.port(exit),
    hlt: () => this.end('ok', 'the guest finished'),
    shutdown: () => this.end('shutdown', `the guest shut down${this.where()}`),
    'internal-error': () => {
      this.auditInstruction('internal error');
      return this.end('internal-error', `KVM_EXIT_INTERNAL_ERROR${this.where()}`);
    },
    efault: (exit) => this.efault(exit),
    intr: () => {
      this.auditInstruction('retried for ever');
      return this.end('livelock', `the guest makes no progress${this.where()}`);
    },
    unsupported: (exit) => {
      const rip = this.machine.getRegs().rip.toString(16);
      return this.end('unsupported', `\`${exit.unsupported}\` at rip ${rip}`);
    },
  };

  constructor(vmm: PlannedVmm, scenario: Scenario, params: AnyParams) {
    this.vmm = vmm;
    this.machine = vmm.machine;
    this.scenario = scenario;
    this.params = params;
    this.actions = Object.keys(scenario.actions ?? {});
  }

  run(exitsMax: number): Ending {
    return this.refused() ?? runVcpu(this.machine, this.onExit, exitsMax) ?? this.tooMany(exitsMax);
  }

  /** The same with a look at the world every so often; undefined if it said to stop. */
  async runLooking(exitsMax: number, stop: () => Promise<boolean>): Promise<Ending | undefined> {
    const refused = this.refused();
    if (refused !== undefined) return refused;
    for (let done = 0; done < exitsMax; done += EXITS_AT_ONCE) {
      const ended = runVcpu(this.machine, this.onExit, Math.min(EXITS_AT_ONCE, exitsMax - done));
      if (ended !== undefined) return ended;
      if (await stop()) return undefined;
    }
    return this.tooMany(exitsMax);
  }

  private tooMany(exitsMax: number): Ending {
    return this.end(
      'livelock',
      `the guest exited ${exitsMax.toLocaleString('en-US')} times without finishing`,
    );
  }

  /** Counts the exit, and does what is done about it. */
  private readonly onExit: OnExit<Ending> = (name, exit, ret) => {
    if (name === undefined && ret < 0) return this.end('refused', `KVM_RUN returned -${errnoName(-ret)}`);
    if (name === undefined)
      return this.end('refused', `KVM_RUN gave exit reason ${exit.reason}, which this VMM does not know`);
    if (isCounted(name)) this.exits[name] += 1;
    return this.answers[name](exit);
  };

  private mmio(exit: ExitRecord): Ending | undefined {
    if (exit.len === 0) return this.blindExit();
    this.blind = 0;
    if (exit.isWrite) this.auditStore(exit);
    const remedy = askHandler(this.vmm, 'onMmio', exit);
    if (remedy === 'die') return this.gaveUp(exit);
    if (remedy === 'default' && exit.isWrite) answerMmioWrite(this.vmm, exit);
    else if (remedy === 'default') answerMmioRead(this.vmm, exit);
    return this.refused();
  }

  private port(exit: ExitRecord): Ending | undefined {
    if (exit.isWrite && exit.port === ACTION_PORT) return this.act(exit.data[0] ?? 0);
    const remedy = askHandler(this.vmm, 'onPort', exit);
    if (remedy === 'die') return this.gaveUp(exit);
    if (remedy === 'default' && !exit.isWrite) answerEmptyBus(this.vmm, exit);
    return this.refused();
  }

  /** A call the guest cannot go on without was refused: by an action, by a device, or before the first entry. */
  private refused(): Ending | undefined {
    return this.vmm.refusal === undefined ? undefined : this.end('refused', this.vmm.refusal);
  }

  private efault(exit: ExitRecord): Ending | undefined {
    const instruction = this.instruction();
    const remedy = answerEfault(this.vmm, exit, instruction);
    this.auditInstruction(BECAME[remedy], instruction);
    if (remedy === 'retry') return this.refused();
    // An instruction that cannot be decoded cannot be stepped over either.
    if (remedy !== 'skip' || instruction === undefined)
      return this.end('efault', `KVM_RUN returned -EFAULT${this.where()}`);
    this.machine.setRip(Number(this.machine.getRegs().rip) + instruction.length);
    return this.refused();
  }

  private act(number: number): Ending | undefined {
    const name = this.actions[number];
    const action = name === undefined ? undefined : this.scenario.actions?.[name];
    action?.(this.vmm, this.params);
    return this.refused();
  }

  /** A handler of the VMM's had enough. */
  private gaveUp(exit: ExitRecord): Ending {
    return this.end('refused', `the VMM gave up at ${exitSays(0, exit)}${this.where()}`);
  }

  private blindExit(): Ending | undefined {
    this.blind += 1;
    if (this.blind < BLIND_EXITS_MAX) return undefined;
    this.auditInstruction('mmio exit without address');
    const detail = `KVM gave ${this.blind} MMIO exits without address or data${this.where()}`;
    return { ...this.end('livelock', detail), blind: true };
  }

  private instruction(): Decoded | undefined {
    return stoppedAt(this.vmm, this.scenario.mode === 'long64' ? 64 : 32);
  }

  private auditStore(exit: ExitRecord): void {
    if (this.romWrites.length >= ROM_WRITES_MAX || this.vmm.placeAt(exit.physAddr)?.kind !== 'rom') return;
    this.audit(exit.physAddr, toHex(exit.data.subarray(0, exit.len)), 'mmio exit');
  }

  private auditInstruction(became: string, instruction = this.instruction()): void {
    const memory = instruction?.memory;
    if (memory?.write !== true || this.romWrites.length >= ROM_WRITES_MAX) return;
    if (this.vmm.placeAt(memory.address)?.kind === 'rom') this.audit(memory.address, '', became);
  }

  private audit(gpa: number, data: string, became: string): void {
    const rip = this.machine.getRegs().rip.toString(16);
    this.romWrites.push({ rip, gpa: gpa.toString(16), data, became });
  }

  private where(): string {
    const rip = this.machine.getRegs().rip.toString(16);
    const text = this.instruction()?.text;
    return text === undefined ? ` at rip ${rip}` : ` at \`${text}\` (rip ${rip})`;
  }

  private end(fate: Fate, detail: string): Ending {
    const instruction = fate === 'ok' ? undefined : this.instruction();
    return {
      fate,
      detail,
      ...(instruction === undefined ? {} : { instruction }),
      exits: this.exits,
      romWrites: this.romWrites,
    };
  }
}
