import Glibc

/// A sequence of bytes or characters to look for, in time linear in what is searched (Knuth, Morris and Pratt 1977).
struct SequenceSearch<Element: Equatable & Sendable & BitwiseCopyable>: Sendable {
  let wanted: [Element]
  /// For each prefix, the length of its longest proper prefix that is a suffix too.
  private var borders: [Int]

  init(_ wanted: [Element]) {
    self.wanted = wanted
    borders = [Int](repeating: 0, count: wanted.count)
    var length = 0
    for index in wanted.indices.dropFirst() {
      while length > 0, wanted[index] != wanted[length] { length = borders[length - 1] }
      if wanted[index] == wanted[length] { length += 1 }
      borders[index] = length
    }
  }

  /// The first offset in `text`, from `start` on, where it begins; nil where it is nowhere, or empty.
  func first(in text: UnsafeBufferPointer<Element>, from start: Int) -> Int? {
    guard let head = wanted.first else { return nil }
    var length = 0
    var index = start
    while index < text.count {
      if length == 0 {
        // Most of the time nothing matches: a tight loop for that.
        guard let found = SequenceSearch.first(head, in: text, from: index) else { return nil }
        index = found
      }
      while length > 0, text[index] != wanted[length] { length = borders[length - 1] }
      if text[index] == wanted[length] { length += 1 }
      index += 1
      if length == wanted.count { return index - length }
    }
    return nil
  }

  private static func first(_ head: Element, in text: UnsafeBufferPointer<Element>, from start: Int) -> Int? {
    if let byte = head as? UInt8, let base = text.baseAddress {
      return memchr(base + start, Int32(byte), text.count - start).map { UnsafeRawPointer($0) - UnsafeRawPointer(base) }
    }
    var index = start
    while index < text.count, text[index] != head { index += 1 }
    return index < text.count ? index : nil
  }
}
