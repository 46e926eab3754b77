/** What a Machine has to do with memory: slots, mappings, the dirty log. */
import {
  EEXIST,
  EFAULT,
  EINVAL,
  ENOENT,
  KVM_MEM_LOG_DIRTY_PAGES,
  KVM_MEM_READONLY,
  PAGE_SIZE,
  PROT_READ,
} from '../abi.ts';
import { KVM_EXIT_HLT, KVM_EXIT_MMIO, KVM_EXIT_UNKNOWN } from '../exits.ts';

import {
  bytes,
  CODE_AT,
  type ContractCheck,
  eax,
  equal,
  first,
  guest,
  HLT,
  LOAD,
  RAM_BYTES,
  ROM_AT,
  RW,
  returns,
  rom,
  STORE,
  slot,
} from './small-guest.ts';

/** `KVM_EXIT_MEMORY_FAULT`, which newer kernels fill in with -EFAULT. */
const KVM_EXIT_MEMORY_FAULT = 39;

/** Checks of memory. */
export const MEMORY_CHECKS: readonly ContractCheck[] = [
  {
    name: 'guest and alias see the same memory',
    check: (create) => {
      // mov eax, [esi]; inc eax; mov [esi+4], eax; hlt
      const { machine, ram } = guest(create, [0x8b, 0x06, 0x40, 0x89, 0x46, 0x04, HLT]);
      machine.poke(ram, 0x2000, Uint8Array.of(1, 2, 3, 4));
      return first(
        () => returns(machine, 0, KVM_EXIT_HLT),
        () => equal('what the guest stored', bytes(machine.peek(ram, 0x2004, 4)), [2, 2, 3, 4]),
      );
    },
  },
  {
    name: 'a store to a read-only slot leaves as MMIO and does not land; a read does not leave',
    check: (create) => {
      // mov [edi], eax; mov eax, [edi]; hlt
      const { machine } = guest(create, [0x89, 0x07, 0x8b, 0x07, HLT]);
      const { backing, ret } = rom(machine, KVM_MEM_READONLY, RW);
      return first(
        () => equal('the slot call', ret, 0),
        () => returns(machine, 0, KVM_EXIT_MMIO),
        () => equal('the exit', [machine.exit.physAddr, machine.exit.isWrite], [ROM_AT, true]),
        () => returns(machine, 0, KVM_EXIT_HLT),
        () => equal('eax', eax(machine.getRegs()), 0xa5a5_a5a5),
        () => equal('the ROM', bytes(machine.peek(backing, 0, 4)), [0xa5, 0xa5, 0xa5, 0xa5]),
      );
    },
  },
  {
    name: 'a store that the host mapping refuses is -EFAULT, as often as it is tried',
    check: (create) => {
      const { machine } = guest(create, STORE);
      rom(machine, 0, PROT_READ);
      const told = (): string | undefined =>
        [KVM_EXIT_UNKNOWN, KVM_EXIT_MEMORY_FAULT].includes(machine.exit.reason)
          ? undefined
          : `-EFAULT came with exit reason ${machine.exit.reason}`;
      return first(
        () => returns(machine, -EFAULT),
        told,
        () => equal('rip', machine.getRegs().rip, BigInt(CODE_AT)),
        () => returns(machine, -EFAULT),
        () => {
          machine.setRip(CODE_AT + 2);
          return returns(machine, 0, KVM_EXIT_HLT);
        },
      );
    },
  },
  {
    name: 'a private mapping takes the store, and the backing keeps its bytes',
    check: (create) => {
      const { machine } = guest(create, [...STORE.slice(0, 2), ...LOAD]);
      const { backing } = rom(machine, 0, RW, 'shm', false);
      return first(
        () => returns(machine, 0, KVM_EXIT_HLT),
        () => equal('eax', eax(machine.getRegs()), 0x1122_3344),
        () => equal('the backing', bytes(machine.peek(backing, 0, 1)), [0xa5]),
      );
    },
  },
  {
    name: 'mprotect() of the mapping is what the next access meets',
    check: (create) => {
      const { machine } = guest(create, STORE);
      const { hva } = rom(machine, 0, PROT_READ);
      return first(
        () => returns(machine, -EFAULT),
        () => equal('mprotect()', machine.mprotect(hva, PAGE_SIZE, RW), 0),
        () => returns(machine, 0, KVM_EXIT_HLT),
      );
    },
  },
  {
    name: 'slot calls are refused as the kernel refuses them',
    check: (create) => {
      const { machine } = guest(create, [HLT]);
      const { hva } = rom(machine, KVM_MEM_READONLY, RW);
      return first(
        () => equal('an address within a page', slot(machine, 2, 0, 0x20_0010, PAGE_SIZE, hva), -EINVAL),
        () => equal('an overlap', slot(machine, 2, 0, ROM_AT, PAGE_SIZE, hva), -EEXIST),
        () => equal('READONLY taken away alive', slot(machine, 1, 0, ROM_AT, PAGE_SIZE, hva), -EINVAL),
        () => equal('an unknown flag', slot(machine, 2, 1 << 30, 0x20_0000, PAGE_SIZE, hva), -EINVAL),
        () => equal('deleting', slot(machine, 1, 0, ROM_AT, 0, hva), 0),
        () => equal('making it again', slot(machine, 1, 0, ROM_AT, PAGE_SIZE, hva), 0),
      );
    },
  },
  {
    name: 'the dirty log has what the guest wrote, once',
    check: (create) => {
      // mov [esi], eax; hlt
      const { machine, ram } = guest(create, [0x89, 0x06, HLT]);
      const hva = machine.mmap({ backing: ram, prot: RW, shared: true });
      slot(machine, 0, 0, 0, 0, hva);
      slot(machine, 0, KVM_MEM_LOG_DIRTY_PAGES, 0, RAM_BYTES, hva);
      return first(
        () => returns(machine, 0, KVM_EXIT_HLT),
        () => equal('page 2', (machine.getDirtyLog(0).bitmap[0] ?? 0) & 4, 4),
        () => equal('the log after it was read', (machine.getDirtyLog(0).bitmap[0] ?? 0) & 4, 0),
        () => equal('the log of no slot', machine.getDirtyLog(7).ret, -ENOENT),
      );
    },
  },
  {
    name: 'a file page that left memory is read in again',
    check: (create) => {
      const { machine } = guest(create, LOAD);
      const { backing, hva } = rom(machine, 0, RW, 'file');
      return first(
        () => equal('dropping it', machine.dropPageCache(backing), 0),
        () => equal('pages in memory', machine.residentPages(hva), 0),
        () => returns(machine, 0, KVM_EXIT_HLT),
        () => equal('eax', eax(machine.getRegs()), 0xa5a5_a5a5),
        () => equal('pages in memory', machine.residentPages(hva), 1),
      );
    },
  },
  {
    name: 'a coalesced zone keeps a refused store, and the guest does not leave',
    check: (create) => {
      const { machine } = guest(create, STORE);
      rom(machine, KVM_MEM_READONLY, RW);
      const kept = (): unknown =>
        machine.coalescedMmio().map(({ physAddr, data }) => [physAddr, bytes(data)]);
      return first(
        () => equal('the zone', machine.registerCoalescedMmio({ addr: ROM_AT, size: PAGE_SIZE }), 0),
        () => returns(machine, 0, KVM_EXIT_HLT),
        () => equal('the ring', kept(), [[ROM_AT, [0x44, 0x33, 0x22, 0x11]]]),
        () => equal('the ring after it was read', kept(), []),
      );
    },
  },
  {
    name: 'an ioeventfd turns a matching store into a signal, and no other',
    check: (create) => {
      // mov [edi], eax; mov [edi], al; hlt
      const { machine } = guest(create, [0x89, 0x07, 0x88, 0x07, HLT]);
      rom(machine, KVM_MEM_READONLY, RW);
      const spec = { addr: ROM_AT, len: 4, datamatch: 0x1122_3344n };
      const eventfd = machine.assignIoEventfd(spec);
      return first(
        () => (eventfd < 0 ? `assigning it returned ${eventfd}` : undefined),
        () => equal('assigning it twice', machine.assignIoEventfd(spec), -EEXIST),
        () => returns(machine, 0, KVM_EXIT_MMIO),
        () => equal('what left', machine.exit.len, 1),
        () => returns(machine, 0, KVM_EXIT_HLT),
        () => equal('signals', machine.readEventfd(eventfd), 1),
        () => equal('taking it away', machine.deassignIoEventfd(eventfd), 0),
      );
    },
  },
];
