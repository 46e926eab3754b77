/** What a Machine has to do with its vCPU: registers, exits and their answers, what it tells of them. */
import { EINTR, KVM_MEM_READONLY } from '../abi.ts';
import { KVM_EXIT_HLT, KVM_EXIT_IO, KVM_EXIT_MMIO, KVM_EXIT_SHUTDOWN } from '../exits.ts';
import { OBSERVABLES } from '../observation.ts';

import {
  bytes,
  type ContractCheck,
  eax,
  equal,
  first,
  guest,
  HLT,
  LOAD,
  ROM_AT,
  RW,
  returns,
  rom,
  STORE,
} from './small-guest.ts';

/** Checks of the vCPU. */
export const VCPU_CHECKS: readonly ContractCheck[] = [
  {
    name: 'a guest runs, halts, and its registers can be read',
    check: (create) => {
      // mov eax, 7; hlt
      const { machine } = guest(create, [0xb8, 7, 0, 0, 0, HLT]);
      return first(
        () => returns(machine, 0, KVM_EXIT_HLT),
        () => equal('eax', eax(machine.getRegs()), 7),
        () => equal('esi', machine.getRegs().gpr[6], 0x2000n),
      );
    },
  },
  {
    name: 'a read of a hole is an MMIO exit, and the answer reaches the guest',
    check: (create) => {
      const { machine } = guest(create, LOAD);
      return first(
        () => returns(machine, 0, KVM_EXIT_MMIO),
        () =>
          equal(
            'the exit',
            [machine.exit.physAddr, machine.exit.len, machine.exit.isWrite],
            [ROM_AT, 4, false],
          ),
        () => {
          machine.exit.data.set([0xef, 0xbe, 0xad, 0xde]);
          return returns(machine, 0, KVM_EXIT_HLT);
        },
        () => equal('eax', eax(machine.getRegs()), 0xdead_beef),
      );
    },
  },
  {
    name: 'a write to a hole is an MMIO exit with its bytes',
    check: (create) => {
      const { machine } = guest(create, STORE);
      return first(
        () => returns(machine, 0, KVM_EXIT_MMIO),
        () =>
          equal(
            'the exit',
            [machine.exit.physAddr, machine.exit.len, machine.exit.isWrite],
            [ROM_AT, 4, true],
          ),
        () => equal('the data', bytes(machine.exit.data.subarray(0, 4)), [0x44, 0x33, 0x22, 0x11]),
        () => returns(machine, 0, KVM_EXIT_HLT),
      );
    },
  },
  {
    name: 'ports leave, and input reaches the guest',
    check: (create) => {
      // out 0xe0, al; in al, 0xe1; hlt
      const { machine } = guest(create, [0xe6, 0xe0, 0xe4, 0xe1, HLT]);
      return first(
        () => returns(machine, 0, KVM_EXIT_IO),
        () =>
          equal(
            'the output',
            [machine.exit.port, machine.exit.isWrite, machine.exit.data[0]],
            [0xe0, true, 0x44],
          ),
        () => returns(machine, 0, KVM_EXIT_IO),
        () => equal('the input', [machine.exit.port, machine.exit.isWrite], [0xe1, false]),
        () => {
          machine.exit.data[0] = 0x5a;
          return returns(machine, 0, KVM_EXIT_HLT);
        },
        () => equal('eax', eax(machine.getRegs()), 0x1122_335a),
      );
    },
  },
  {
    name: 'a guest without a handler for its exception shuts down',
    // ud2
    check: (create) => returns(guest(create, [0x0f, 0x0b]).machine, 0, KVM_EXIT_SHUTDOWN),
  },
  {
    name: 'a guest that goes round for ever comes back with -EINTR',
    // jmp $
    check: (create) => returns(guest(create, [0xeb, 0xfe]).machine, -EINTR),
  },
  {
    name: 'an engine tells what it says it observes, and nothing else',
    check: (create) => {
      const { machine } = guest(create, STORE);
      rom(machine, KVM_MEM_READONLY, RW);
      const wrong = returns(machine, 0, KVM_EXIT_MMIO);
      const told = machine.observe();
      const seen = OBSERVABLES.filter((o) =>
        o === 'life' ? machine.life(1).length > 0 : told[o] !== undefined,
      );
      const said = OBSERVABLES.filter((o) => machine.observes.has(o));
      return wrong ?? equal('what it tells', seen, said);
    },
  },
  {
    name: 'the same calls give the same digest',
    needs: ['digest'],
    check: (create) => {
      const digest = (): string | undefined => {
        const { machine } = guest(create, STORE);
        machine.run();
        machine.run();
        return machine.observe().digest;
      };
      return equal('the second digest', digest(), digest());
    },
  },
];
