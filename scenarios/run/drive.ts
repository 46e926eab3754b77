/**
 * Drives one guest to its end: runs the vCPU, answers exits, keeps counts. Every loop ends: a guest that makes
 * no progress is reported by the machine, and one that only exits runs into a bound.
 */
import {
  EFAULT,
  EINTR,
  errnoName,
  KVM_EXIT_HLT,
  KVM_EXIT_INTERNAL_ERROR,
  KVM_EXIT_INTR,
  KVM_EXIT_IO,
  KVM_EXIT_MMIO,
  KVM_EXIT_SHUTDOWN,
} from '../../engine/abi.ts';
import type { Machine } from '../../engine/machine.ts';
import { type Decoded, decodeAt } from '../../engine/vmm/stopped-at.ts';
import type { Vmm } from '../../engine/vmm/vmm.ts';
import { ACTION_PORT } from '../language/guest.ts';
import type { AnyParams } from '../language/params.ts';
import type { Scenario } from '../language/scenario.ts';
import type { ExitKind, Fate, RomWrite } from './comparison.ts';

/** Attempted writes to the ROM that are kept. */
const ROM_WRITES_MAX = 64;
/** MMIO exits without an address, one after the other, before the guest counts as looping. */
const BLIND_EXITS_MAX = 64;
/** Exits between two looks at the world: a few hundredths of a second. */
const EXITS_AT_ONCE = 8192;
/** Bytes of the longest x86 instruction. */
const INSTRUCTION_BYTES_MAX = 15;

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
export function drive(vmm: Vmm, scenario: Scenario, params: AnyParams, exitsMax: number): Ending {
  return new Drive(vmm, scenario, params).run(exitsMax);
}

/** Drives a guest, asking every so many exits whether to stop; undefined when told so. */
export function driveLooking(
  vmm: Vmm,
  scenario: Scenario,
  params: AnyParams,
  exitsMax: number,
  stop: () => Promise<boolean>,
): Promise<Ending | undefined> {
  return new Drive(vmm, scenario, params).runLooking(exitsMax, stop);
}

class Drive {
  private readonly exits: Record<ExitKind, number> = {
    'mmio-read': 0,
    'mmio-write': 0,
    io: 0,
    hlt: 0,
    'internal-error': 0,
    shutdown: 0,
    efault: 0,
  };
  private readonly romWrites: RomWrite[] = [];
  private readonly machine: Machine;
  private readonly vmm: Vmm;
  private readonly scenario: Scenario;
  private readonly params: AnyParams;
  private readonly actions: readonly string[];
  private blind = 0;

  constructor(vmm: Vmm, scenario: Scenario, params: AnyParams) {
    this.vmm = vmm;
    this.machine = vmm.machine;
    this.scenario = scenario;
    this.params = params;
    this.actions = Object.keys(scenario.actions ?? {});
  }

  run(exitsMax: number): Ending {
    return this.upTo(exitsMax) ?? this.tooMany(exitsMax);
  }

  /** The same with a look at the world every so often; undefined if it said to stop. */
  async runLooking(exitsMax: number, stop: () => Promise<boolean>): Promise<Ending | undefined> {
    for (let done = 0; done < exitsMax; done += EXITS_AT_ONCE) {
      const ended = this.upTo(Math.min(EXITS_AT_ONCE, exitsMax - done));
      if (ended !== undefined) return ended;
      if (await stop()) return undefined;
    }
    return this.tooMany(exitsMax);
  }

  private upTo(exits: number): Ending | undefined {
    for (let n = 0; n < exits; n++) {
      if (this.vmm.refusal !== undefined) return this.end('refused', this.vmm.refusal);
      const ended = this.once();
      if (ended !== undefined) return ended;
    }
    return undefined;
  }

  private tooMany(exitsMax: number): Ending {
    return this.end(
      'livelock',
      `the guest exited ${exitsMax.toLocaleString('en-US')} times without finishing`,
    );
  }

  /** One KVM_RUN and the answer to it; an ending if there is nothing to go on with. */
  private once(): Ending | undefined {
    const ret = this.machine.run();
    if (ret === -EFAULT) return this.efault();
    if (ret === -EINTR) return this.looping();
    if (ret < 0) return this.end('refused', `KVM_RUN returned -${errnoName(-ret)}`);
    switch (this.machine.exit.reason) {
      case KVM_EXIT_MMIO:
        return this.mmio();
      case KVM_EXIT_IO:
        this.exits.io += 1;
        this.port();
        return undefined;
      case KVM_EXIT_HLT:
        this.exits.hlt += 1;
        return this.end('ok', 'the guest finished');
      case KVM_EXIT_SHUTDOWN:
        this.exits.shutdown += 1;
        return this.end('shutdown', `the guest shut down${this.where()}`);
      case KVM_EXIT_INTERNAL_ERROR:
        this.exits['internal-error'] += 1;
        this.auditInstruction('internal error');
        return this.end('internal-error', `KVM_EXIT_INTERNAL_ERROR${this.where()}`);
      case KVM_EXIT_INTR:
        return this.looping();
      default:
        return this.end(
          'refused',
          `KVM_RUN gave exit reason ${this.machine.exit.reason}, which this VMM does not know`,
        );
    }
  }

  private looping(): Ending {
    this.auditInstruction('retried for ever');
    return this.end('livelock', `the guest makes no progress${this.where()}`);
  }

  private efault(): Ending | undefined {
    this.exits.efault += 1;
    const instruction = this.instruction();
    const skip = this.vmm.plan.vmm?.onEfault === 'skip' && instruction?.memory?.write === true;
    this.auditInstruction(skip ? 'stepped over' : 'efault', instruction);
    if (!skip) return this.end('efault', `KVM_RUN returned -EFAULT${this.where()}`);
    this.machine.setRip(Number(this.machine.getRegs().rip) + instruction.length);
    return undefined;
  }

  private mmio(): Ending | undefined {
    const { exit } = this.machine;
    this.exits[exit.isWrite ? 'mmio-write' : 'mmio-read'] += 1;
    if (exit.len === 0) {
      this.blind += 1;
      if (this.blind < BLIND_EXITS_MAX) return undefined;
      this.auditInstruction('mmio exit without address');
      const detail = `KVM gave ${this.blind} MMIO exits without address or data${this.where()}`;
      return { ...this.end('livelock', detail), blind: true };
    }
    this.blind = 0;
    if (exit.isWrite) this.mmioWrite();
    else this.mmioRead();
    return undefined;
  }

  private mmioRead(): void {
    const { exit } = this.machine;
    const memory = this.vmm.memoryAt(exit.physAddr);
    if (memory?.device !== undefined)
      memory.device.read(exit.physAddr - memory.place.at, exit.len, exit.data);
    else if (memory?.present) exit.data.set(memory.peek(exit.physAddr - memory.place.at, exit.len));
    else exit.data.fill(0xff, 0, exit.len);
  }

  private mmioWrite(): void {
    const { exit } = this.machine;
    const memory = this.vmm.memoryAt(exit.physAddr);
    if (memory === undefined || memory.place.kind !== 'rom') return;
    if (this.romWrites.length < ROM_WRITES_MAX) {
      this.audit(exit.physAddr, hexBytes(exit.data.subarray(0, exit.len)), 'mmio exit');
    }
    const offset = exit.physAddr - memory.place.at;
    if (memory.device !== undefined) memory.device.write(offset, exit.len, exit.data);
    else if (memory.unlocked) memory.poke(offset, exit.data.slice(0, exit.len));
  }

  private port(): void {
    const { exit } = this.machine;
    if (!exit.isWrite) exit.data.fill(0xff, 0, exit.len);
    else if (exit.port === ACTION_PORT) {
      const name = this.actions[exit.data[0] ?? 0];
      const action = name === undefined ? undefined : this.scenario.actions?.[name];
      action?.(this.vmm, this.params);
    }
  }

  /** The instruction at rip, read through the alias as a VMM would. */
  private instruction(): Decoded | undefined {
    const regs = this.machine.getRegs();
    const rip = Number(regs.rip);
    const memory = this.vmm.memoryAt(rip);
    if (memory === undefined) return undefined;
    const length = Math.min(INSTRUCTION_BYTES_MAX, memory.place.end - rip);
    const bits = this.scenario.mode === 'long64' ? 64 : 32;
    return decodeAt(memory.peek(rip - memory.place.at, length), bits, regs);
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

const hexBytes = (bytes: Uint8Array): string =>
  [...bytes].map((b) => b.toString(16).padStart(2, '0')).join('');
