/**
 * Engines over real kernels: one kernel in QEMU or this host's own, and machines on it, one at a time. A kernel that
 * dies or hangs costs the machine that was in hand; the next one finds a fresh kernel, from a snapshot.
 */
import { closeSync, ftruncateSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { type Machine, MachineLost, type VmOptions } from '../machine.ts';
import { type LocalAgent, startLocalAgent } from './host/local-agent.ts';
import { findKernel, KernelUnfit } from './image/kernel-files.ts';
import { KernelMachine } from './kvm/kernel-machine.ts';
import { refuse } from './kvm/refuse.ts';
import { openSession, type Session } from './kvm/session.ts';
import { DISK_BYTES, kernelCommandLine, QEMU_DEFAULTS, type QemuOptions } from './qemu/arguments.ts';
import { discard, GuestKernel, type Snapshot } from './qemu/guest-kernel.ts';

export { KernelUnfit } from './image/kernel-files.ts';

/** What a machine is made with. */
export interface MachineRequest extends VmOptions {
  /** In guest instructions. */
  readonly budget: number;
}

/** A kernel that machines are made on. */
export interface KernelEngine {
  /** `uname -r`. */
  readonly release: string;
  /** /proc/version, and what the kernel was booted with. */
  readonly version: string;
  /** Kernels that were lost so far. */
  readonly lost: number;
  /** A fresh VM; the one before it is given back. `budget` is in guest instructions. */
  createMachine(request: MachineRequest): Machine;
  /** Seconds of CPU time that the kernel's processes used. */
  cpuSeconds(): number;
  /** Ends everything and leaves nothing behind. */
  stop(): void;
}

/** Virtual time that one KVM_RUN gets at the least, in microseconds; an instruction is a nanosecond with icount. */
const PATIENCE_MIN = 20_000;
/** The same where time is time: a loaded machine is slow. */
const PATIENCE_REAL_MIN = 300_000;
/** The most: a guest that takes longer without leaving counts as looping. */
const PATIENCE_MAX = 1_000_000;

/** Starts a kernel in QEMU. Throws `KernelUnfit` where it cannot be. */
export function startQemuEngine(path: string, options: Partial<QemuOptions> = {}): QemuEngine {
  return new QemuEngine(path, { ...QEMU_DEFAULTS, ...options });
}

/** One machine after the other on one session. */
class Machines {
  #last: KernelMachine | undefined;

  create(session: Session, { budget, irqchip, exitOnEmulationFailure }: MachineRequest): Machine {
    refuse(irqchip === true, 'an in-kernel interrupt controller');
    refuse(exitOnEmulationFailure === true, 'KVM_CAP_EXIT_ON_EMULATION_FAILURE');
    const min = session.counts ? PATIENCE_MIN : PATIENCE_REAL_MIN;
    const patience = Math.min(PATIENCE_MAX, Math.max(min, Math.round(budget / 1000)));
    const machine = new KernelMachine(session, patience, this.#last?.release);
    this.#last = machine;
    return machine;
  }

  /** The session is gone, and what was on it. */
  forget(): void {
    this.#last = undefined;
  }
}

/** An engine whose kernel runs in QEMU. */
export class QemuEngine implements KernelEngine {
  readonly release: string;
  readonly version: string;
  lost = 0;
  readonly #session: Omit<Session, 'channel'>;
  readonly #snapshot: Snapshot;
  readonly #machines = new Machines();
  #guest: GuestKernel;
  #cpuOfLost = 0;

  constructor(path: string, options: QemuOptions) {
    const kernel = findKernel(path);
    this.release = kernel.release;
    this.#guest = GuestKernel.boot(kernel, options);
    try {
      const where = `kernel ${kernel.image}`;
      const disk = '/dev/vda';
      this.#session = openSession(this.#guest.channel, {
        engine: 'qemu',
        where,
        disk,
        counts: options.icount,
      });
      this.version = `${this.#session.version} (booted with: ${kernelCommandLine(options)})`;
      this.#snapshot = this.#guest.save();
    } catch (error) {
      this.#guest.stop();
      throw error;
    }
  }

  /** The kernel that runs now: its agent and QEMU's monitor. */
  get guest(): GuestKernel {
    return this.#guest;
  }

  createMachine(request: MachineRequest): Machine {
    if (this.#guest.channel.dead) this.#replace();
    const session = { ...this.#session, channel: this.#guest.channel };
    return this.#machines.create(session, request);
  }

  cpuSeconds(): number {
    return this.#cpuOfLost + this.#guest.process.cpuSeconds;
  }

  stop(): void {
    this.#guest.stop();
    discard(this.#snapshot);
  }

  #replace(): void {
    this.lost += 1;
    this.#cpuOfLost += this.#guest.process.cpuSeconds;
    this.#guest.stop();
    this.#machines.forget();
    this.#guest = GuestKernel.resume(this.#snapshot);
  }
}

/** Starts an engine on this host's /dev/kvm. Throws `KernelUnfit` where it cannot be. */
export function startHostEngine(patience: number = QEMU_DEFAULTS.patience): KernelEngine {
  return new HostEngine(patience);
}

class HostEngine implements KernelEngine {
  readonly release: string;
  readonly version: string;
  lost = 0;
  readonly #patience: number;
  readonly #machines = new Machines();
  #agent: LocalAgent;
  #session: Session;

  constructor(patience: number) {
    this.#patience = patience;
    this.#agent = startLocalAgent(patience);
    this.#session = this.#open();
    this.version = this.#session.version;
    this.release = this.version.split(' ')[2] ?? 'unknown';
  }

  createMachine(request: MachineRequest): Machine {
    if (this.#agent.channel.dead) {
      this.lost += 1;
      this.#agent.stop();
      this.#machines.forget();
      this.#agent = startLocalAgent(this.#patience);
      this.#session = this.#open();
    }
    return this.#machines.create(this.#session, request);
  }

  cpuSeconds(): number {
    return this.#agent.process.cpuSeconds;
  }

  stop(): void {
    this.#agent.stop();
  }

  #open(): Session {
    const disk = join(this.#agent.process.folder, 'disk');
    const file = openSync(disk, 'w');
    ftruncateSync(file, DISK_BYTES);
    closeSync(file);
    try {
      return openSession(this.#agent.channel, { engine: 'kvm', where: 'this host', disk, counts: false });
    } catch (error) {
      this.#agent.stop();
      // A sandbox may end whoever makes a call it does not like.
      if (error instanceof MachineLost)
        throw new KernelUnfit(
          `this host: the agent was killed (${error.message}); a seccomp filter forbids its calls`,
        );
      throw error;
    }
  }
}
