# find_package(Dormouse) gives the imported target Dormouse::Dormouse. Paths are relative to this file, so that an
# installed tree may be moved.
get_filename_component(_dormouse_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

if(NOT TARGET Dormouse::Dormouse)
  add_library(Dormouse::Dormouse SHARED IMPORTED)
  set_target_properties(Dormouse::Dormouse PROPERTIES
    IMPORTED_LOCATION "${_dormouse_prefix}/lib/libdormouse.so.0"
    IMPORTED_SONAME "libdormouse.so.0"
    INTERFACE_INCLUDE_DIRECTORIES "${_dormouse_prefix}/include")
endif()

# What libdormouse.so loads from beside itself to read pictures, films and sound: shipped with it, never linked to.
set(Dormouse_MEDIA_LIBRARY "${_dormouse_prefix}/lib/libdormouse_media.so.0")

foreach(_dormouse_file "lib/libdormouse.so.0" "include/dormouse.h")
  if(NOT EXISTS "${_dormouse_prefix}/${_dormouse_file}")
    set(Dormouse_FOUND FALSE)
    set(Dormouse_NOT_FOUND_MESSAGE "${_dormouse_prefix}/${_dormouse_file} is missing")
  endif()
endforeach()
unset(_dormouse_file)
unset(_dormouse_prefix)
