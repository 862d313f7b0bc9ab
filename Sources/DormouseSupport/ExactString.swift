import Glibc

/// A string compared and hashed by its UTF-8 bytes.
///
/// Swift's own `==` holds canonically equivalent strings equal ("é" in one or two scalars). Tokens, tensor names and
/// JSON keys are byte strings: use this as the key wherever such a name is looked up.
public struct ExactString: Hashable, Sendable, CustomStringConvertible {
  public let string: String

  public init(_ string: String) { self.string = string }

  public static func == (left: ExactString, right: ExactString) -> Bool {
    let compared = left.string.utf8.withContiguousStorageIfAvailable { left in
      right.string.utf8.withContiguousStorageIfAvailable { right in
        guard left.count == right.count, let a = left.baseAddress, let b = right.baseAddress else {
          return left.isEmpty && right.isEmpty
        }
        return memcmp(a, b, left.count) == 0
      }
    }
    return (compared ?? nil) ?? left.string.utf8.elementsEqual(right.string.utf8)
  }

  public func hash(into hasher: inout Hasher) {
    var copy = string
    copy.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
  }

  public var description: String { string }
}
