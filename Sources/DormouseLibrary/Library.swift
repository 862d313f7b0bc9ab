// The product `Dormouse` (libdormouse.so) is DormouseABI with the linker settings of this target, and no code of its own.
