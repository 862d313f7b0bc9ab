import Glibc

/// Memory of a fixed size, aligned for the widest vector loads, freed with this object.
///
/// A failed allocation is a `Failure`, where Swift's own arrays would trap. Large blocks come from fresh pages, so
/// the zeroes cost nothing until a page is touched.
public final class AlignedBuffer: @unchecked Sendable {
  /// Bytes; every address that is a multiple of this starts a cache line.
  public static let alignment = 64

  public let bytes: UnsafeMutableRawBufferPointer

  /// - Parameter isZeroed: whether the bytes are zero, or whatever was there.
  /// - Throws: `Failure(.outOfMemory)` naming `purpose` and the size.
  public init(byteCount: Int, isZeroed: Bool = true, for purpose: @autoclosure () -> String) throws(Failure) {
    guard byteCount >= 0, byteCount <= Int.max - 2 * AlignedBuffer.alignment else {
      throw Failure(.malformed, "\(purpose()): \(byteCount) bytes cannot be allocated")
    }
    let size = max(byteCount, 1)
    let address: UnsafeMutableRawPointer?
    if size >= AlignedBuffer.pageThreshold {
      address = AlignedBuffer.map(size)
      if let address { madvise(address, size, MADV_HUGEPAGE) }
    } else {
      var allocated: UnsafeMutableRawPointer?
      address = posix_memalign(&allocated, AlignedBuffer.alignment, size) == 0 ? allocated : nil
      if isZeroed, let address { memset(address, 0, size) }
    }
    guard let address else { throw Failure(.outOfMemory, "\(purpose()): no memory for \(byteCount) bytes") }
    bytes = UnsafeMutableRawBufferPointer(start: address, count: byteCount)
  }

  deinit {
    guard let base = bytes.baseAddress else { return }
    let size = max(bytes.count, 1)
    if size >= AlignedBuffer.pageThreshold { munmap(base, size) } else { free(base) }
  }

  /// The memory as `count` elements of `Element`, which must be trivial; whole elements only.
  public func bound<Element: BitwiseCopyable>(to type: Element.Type) -> UnsafeMutableBufferPointer<Element> {
    bytes.bindMemory(to: type)
  }

  /// Maps fresh pages; larger blocks begin where one of the system's large pages may lie.
  private static func map(_ size: Int) -> UnsafeMutableRawPointer? {
    let spare = size >= 2 * largePage && size <= Int.max - 2 * largePage ? largePage : 0
    let mapped = mmap(nil, size + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let mapped, mapped != MAP_FAILED else { return nil }
    guard spare > 0 else { return mapped }
    let aligned = mapped.alignedUp(toMultipleOf: largePage)
    let end = (aligned + size).alignedUp(toMultipleOf: sysconf(Int32(_SC_PAGESIZE)))
    if aligned > mapped { munmap(mapped, aligned - mapped) }
    if mapped + size + spare > end { munmap(end, mapped + size + spare - end) }
    return aligned
  }

  /// From this size on a block has pages of its own.
  private static let pageThreshold = 1 << 20
  private static let largePage = 2 << 20
}
