// The product `dormouse_media` (libdormouse_media.so) is DormouseMediaFiles with the linker settings of this target,
// and no code of its own.
