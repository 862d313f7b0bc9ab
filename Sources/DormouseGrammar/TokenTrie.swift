import DormouseSupport

/// The bytes of a vocabulary's tokens as a tree, whose nodes lie in the order of a walk through it, each ahead of those
/// below it.
final class TokenTrie: Sendable {
  struct Node: Sendable {
    var byte: UInt8
    /// Whether all that tokens have below is UTF-8, but for a character that a token's end cuts.
    var isWellFormed: Bool
    /// Bytes from the root, this one among them.
    var depth: UInt16
    /// Bytes of the longest way down from here.
    var height: UInt16
    /// The number of the node behind those below this one.
    var end: Int32
    /// Tokens that end ahead of this node.
    var firstToken: Int32
    /// The bytes below 0x80 that stand below this node.
    var ascii: (UInt64, UInt64)
    /// Whether others do.
    var hasOthers: Bool
  }

  let nodes: ContiguousArray<Node>
  /// Tokens in the order of the nodes at which they end; those of the same bytes behind one another.
  let tokens: ContiguousArray<Int32>
  /// Tokens of the vocabulary, with those that are no text.
  let tokenCount: Int
  let maximumDepth: Int

  static let maximumTokenLength = 1024

  /// - Parameter vocabulary: the bytes of each token; empty for one that is no text, such as a control token.
  /// - Throws: `Failure(.invalidArgument)` for a token that is too long.
  init(_ vocabulary: [[UInt8]]) throws(Failure) {
    for (index, token) in vocabulary.enumerated() where token.count > Self.maximumTokenLength {
      throw Failure(
        .invalidArgument,
        "token \(index) has \(token.count) bytes; expected at most \(Self.maximumTokenLength)")
    }
    var builder = TrieBuilder()
    let order = vocabulary.indices.filter { !vocabulary[$0].isEmpty }
      .sorted { vocabulary[$0].lexicographicallyPrecedes(vocabulary[$1]) }
    for index in order { builder.add(vocabulary[index], token: Int32(index)) }
    builder.finish()
    nodes = builder.nodes
    tokens = builder.tokens
    tokenCount = vocabulary.count
    maximumDepth = nodes.map { Int($0.depth) }.max() ?? 0
  }

  /// The tokens that end at a node.
  func tokens(at node: Int) -> ArraySlice<Int32> {
    let next = node + 1 < nodes.count ? Int(nodes[node + 1].firstToken) : tokens.count
    return ArraySlice(tokens[Int(nodes[node].firstToken)..<next])
  }
}

/// Makes the nodes from tokens in the order of their bytes.
private struct TrieBuilder {
  var nodes: ContiguousArray<TokenTrie.Node> = []
  var tokens: ContiguousArray<Int32> = []
  /// The nodes from the root to the last token.
  private var path: [Int] = []
  private var previous: [UInt8] = []

  mutating func add(_ bytes: [UInt8], token: Int32) {
    let shared = zip(previous, bytes).prefix { $0 == $1 }.count
    close(to: shared)
    for depth in shared..<bytes.count {
      path.append(nodes.count)
      nodes.append(
        TokenTrie.Node(
          byte: bytes[depth], isWellFormed: true, depth: UInt16(depth + 1), height: 0, end: 0,
          firstToken: Int32(tokens.count), ascii: (0, 0), hasOthers: false))
    }
    tokens.append(token)
    previous = bytes
  }

  mutating func finish() {
    close(to: 0)
    for index in nodes.indices { nodes[index].isWellFormed = isWellFormed(below: index) }
  }

  /// Ends the nodes of the path behind the first `depth`.
  private mutating func close(to depth: Int) {
    while path.count > depth {
      let index = path.removeLast()
      nodes[index].end = Int32(nodes.count)
      guard let parent = path.last else { continue }
      let node = nodes[index]
      nodes[parent].height = max(nodes[parent].height, node.height + 1)
      nodes[parent].ascii.0 |= node.ascii.0 | (node.byte < 64 ? 1 << UInt64(node.byte) : 0)
      nodes[parent].ascii.1 |= node.ascii.1 | ((64..<128).contains(node.byte) ? 1 << UInt64(node.byte - 64) : 0)
      nodes[parent].hasOthers = nodes[parent].hasOthers || node.hasOthers || node.byte >= 128
    }
  }

  /// Whether below this node, taken for a border of characters, stand whole characters.
  private func isWellFormed(below index: Int) -> Bool {
    guard nodes[index].hasOthers else { return true }
    var place = index + 1
    let end = Int(nodes[index].end)
    var states = [UTF8Progress](repeating: UTF8Progress(), count: Int(nodes[index].height) + 1)
    while place < end {
      let node = nodes[place]
      let depth = Int(node.depth - nodes[index].depth)
      guard let next = states[depth - 1].after(node.byte) else { return false }
      states[depth] = next
      place += 1
    }
    return true
  }
}

/// What bytes may follow within a character (RFC 3629, section 4).
private struct UTF8Progress {
  private var missing: UInt8 = 0
  private var range: ClosedRange<UInt8> = 0x80...0xBF

  func after(_ byte: UInt8) -> UTF8Progress? {
    var next = UTF8Progress()
    if missing > 0 {
      guard range.contains(byte) else { return nil }
      next.missing = missing - 1
      return next
    }
    switch byte {
    case 0...0x7F: break
    case 0xC2...0xDF: next.missing = 1
    case 0xE0...0xEF: next.missing = 2
    case 0xF0...0xF4: next.missing = 3
    default: return nil
    }
    switch byte {
    case 0xE0: next.range = 0xA0...0xBF
    case 0xED: next.range = 0x80...0x9F
    case 0xF0: next.range = 0x90...0xBF
    case 0xF4: next.range = 0x80...0x8F
    default: break
    }
    return next
  }
}

/// Bits for the tokens of a vocabulary: that of token i is bit i % 32 of word i / 32.
public struct TokenSet: Sendable, Equatable {
  public private(set) var words: ContiguousArray<UInt32>

  public init(tokenCount: Int) { words = ContiguousArray(repeating: 0, count: (tokenCount + 31) / 32) }

  public func contains(_ token: Int32) -> Bool {
    token >= 0 && Int(token) >> 5 < words.count && words[Int(token) >> 5] >> UInt32(token & 31) & 1 != 0
  }

  public var isEmpty: Bool { !words.contains { $0 != 0 } }

  mutating func insert(_ token: Int32) { words[Int(token) >> 5] |= 1 << UInt32(token & 31) }

  mutating func formUnion(_ other: TokenSet) {
    for index in words.indices { words[index] |= other.words[index] }
  }

  mutating func removeAll() {
    for index in words.indices { words[index] = 0 }
  }
}
