public import CDormouse
public import DormouseSupport

// What is generic here is inlinable: another module would otherwise make its types while it runs, and allocate for that.

/// Runs the body of an exported function, in the library's own floating-point environment; a thrown `Failure` becomes a
/// status and, where the caller has one, an error.
public func boundary(_ error: UnsafeMutablePointer<dormouse_error>?, _ body: () throws(Failure) -> Void)
  -> dormouse_status
{
  returningBoundary(error) { () throws(Failure) in
    try body()
    return Status.ok.rawValue
  }
}

/// The same for a body with a value of its own to return: what a callback stopped the work with.
public func returningBoundary(
  _ error: UnsafeMutablePointer<dormouse_error>?, _ body: () throws(Failure) -> dormouse_status
) -> dormouse_status {
  HostCall.enter {
    do throws(Failure) {
      return try body()
    } catch let failure {
      if let error { write(failure, to: error) }
      return failure.status.rawValue
    }
  }
}

/// The same for a function that returns nothing, such as one that frees a handle.
public func silentBoundary(_ body: () -> Void) {
  _ = HostCall.enter {
    body()
    return Status.ok.rawValue
  }
}

/// Fills the caller's error as far as its `struct_size` goes: the status, then the sentence, cut at a character.
private func write(_ failure: Failure, to error: UnsafeMutablePointer<dormouse_error>) {
  let messageOffset = 2 * MemoryLayout<UInt32>.size
  let size = min(Int(error.pointee.struct_size), MemoryLayout<dormouse_error>.size)
  guard size >= messageOffset else { return }
  error.pointee.status = failure.status.rawValue
  let room = size - messageOffset - 1
  guard room >= 0 else { return }
  let text = Array(failure.message.utf8)
  var length = min(text.count, room)
  // A byte 10xxxxxx goes on with the character before it.
  while length > 0, length < text.count, text[length] & 0xC0 == 0x80 { length -= 1 }
  let message = UnsafeMutableRawPointer(error) + messageOffset
  text.withUnsafeBytes { bytes in
    if let base = bytes.baseAddress { message.copyMemory(from: base, byteCount: length) }
  }
  message.storeBytes(of: 0, toByteOffset: length, as: UInt8.self)
}

/// Copies a caller's options struct whatever the size it was compiled with: a shorter one is zero-filled, a longer one
/// must have nothing but zeroes behind what this library knows.
/// - Parameter zero: the struct with all members zero, which NULL stands for too.
@inlinable
public func readStruct<Options>(_ pointer: UnsafePointer<Options>?, zero: Options, name: String) throws(Failure)
  -> Options
{
  guard let pointer else { return zero }
  let raw = UnsafeRawPointer(pointer)
  let size = Int(raw.load(as: UInt32.self))
  guard (MemoryLayout<UInt32>.size...maximumStructSize).contains(size) else {
    throw Failure(
      .invalidArgument, "\(name): struct_size is \(size), not sizeof(\(name)), which is \(MemoryLayout<Options>.size)")
  }
  let known = MemoryLayout<Options>.size
  for offset in stride(from: known, to: max(known, size), by: 1)
  where raw.load(fromByteOffset: offset, as: UInt8.self) != 0 {
    throw Failure(
      .invalidArgument, "\(name): byte \(offset) is set, but this library knows only the first \(known) bytes")
  }
  var options = zero
  withUnsafeMutableBytes(of: &options) { $0.baseAddress?.copyMemory(from: raw, byteCount: min(size, known)) }
  return options
}

/// No options struct will ever be larger; a larger `struct_size` is a mistake and not worth reading behind.
@usableFromInline let maximumStructSize = 4096

/// The caller's string; NULL and bytes that are not UTF-8 are refused.
public func readString(_ pointer: UnsafePointer<CChar>?, _ name: String) throws(Failure) -> String {
  guard let pointer else { throw Failure(.invalidArgument, "\(name) is NULL") }
  guard let string = String(validatingCString: pointer) else {
    throw Failure(.invalidArgument, "\(name) is not valid UTF-8")
  }
  return string
}

/// The same where NULL means none.
public func readOptionalString(_ pointer: UnsafePointer<CChar>?, _ name: String) throws(Failure) -> String? {
  pointer == nil ? nil : try readString(pointer, name)
}

/// The caller's array of `count` elements; NULL only with 0 elements.
@inlinable
public func readArray<Element>(_ pointer: UnsafePointer<Element>?, _ count: Int, _ name: String) throws(Failure)
  -> UnsafeBufferPointer<Element>
{
  guard count >= 0, count <= Int.max / max(1, MemoryLayout<Element>.stride) else {
    throw Failure(.invalidArgument, "\(name): the count is out of range")
  }
  guard pointer != nil || count == 0 else { throw Failure(.invalidArgument, "\(name) is NULL") }
  return UnsafeBufferPointer(start: pointer, count: count)
}

/// Refuses NULL for a pointer that the function needs.
@inlinable
public func require<Pointer>(_ pointer: Pointer?, _ name: String) throws(Failure) -> Pointer {
  guard let pointer else { throw Failure(.invalidArgument, "\(name) is NULL") }
  return pointer
}

/// Puts `elements` into the caller's buffer by the header's rule: `count` always gets the full number; a buffer with
/// too little room is left alone.
@inlinable
public func deliver<Element: BitwiseCopyable>(
  _ elements: [Element], _ buffer: UnsafeMutablePointer<Element>?, _ capacity: Int,
  _ count: UnsafeMutablePointer<Int>?, _ name: String
) throws(Failure) {
  let count = try require(count, "the pointer for the size of \(name)")
  count.pointee = elements.count
  try checkRoom(elements.count, buffer, capacity, name)
  elements.withUnsafeBufferPointer { source in
    if let base = source.baseAddress, let buffer { buffer.update(from: base, count: source.count) }
  }
}

/// The same for a text, which gets a NUL behind it where there is room.
public func deliver(
  text: [UInt8], _ buffer: UnsafeMutablePointer<CChar>?, _ capacity: Int, _ length: UnsafeMutablePointer<Int>?
) throws(Failure) {
  try deliver(text.map { CChar(bitPattern: $0) }, buffer, capacity, length, "the text")
  if capacity > text.count { buffer?[text.count] = 0 }
}

/// Throws when `buffer` can't take `needed` elements.
@inlinable
public func checkRoom<Element>(
  _ needed: Int, _ buffer: UnsafeMutablePointer<Element>?, _ capacity: Int, _ name: String
) throws(Failure) {
  guard capacity >= needed else {
    throw Failure(.bufferTooSmall, "\(name) needs room for \(needed) elements, the buffer has room for \(capacity)")
  }
  guard buffer != nil || needed == 0 else { throw Failure(.invalidArgument, "the buffer for \(name) is NULL") }
}
