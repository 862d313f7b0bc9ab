import DormouseSupport

/// The number of a schema in its document.
typealias SchemaNode = Int32

/// A JSON Schema, and the schemas within it: by their places, by names that `$id` and anchors give them, and as
/// complements of one another.
///
/// - Throws, everywhere: `Failure(.invalidArgument)` for what is no schema, `.unsupported` for what is not enforced; both
///   name the JSON path.
final class SchemaDocument {
  enum Node {
    case schema(JSON, path: String, base: String)
    case complement(of: SchemaNode)
    case nothing
  }

  /// Versions of JSON Schema that differ here.
  enum Draft: Int, Comparable {
    case four = 4
    case six = 6
    case seven = 7
    case nineteen = 19
    case twenty = 20

    static func < (one: Draft, other: Draft) -> Bool { one.rawValue < other.rawValue }
  }

  let draft: Draft
  private let root: JSON
  private(set) var nodes: [Node] = []
  private var numbers: [String: SchemaNode] = [:]
  private var complements: [SchemaNode: SchemaNode] = [:]
  private var nothing: SchemaNode?
  /// The schemas that have names of their own, by absolute URI, with the anchor as its fragment: JSON, path, and the base
  /// of what is around.
  private var named: [String: (JSON, String, String)] = [:]
  /// The URI that the whole document names itself by.
  private var rootResource = ""

  init(_ root: JSON) throws(Failure) {
    self.root = root
    draft = try SchemaDocument.draft(of: root)
    collectNames(root, path: "#", base: "", depth: 0)
    rootResource = URIReference.withoutFragment(named.first { $0.value.1 == "#" }?.key ?? "")
  }

  private static func draft(of root: JSON) throws(Failure) -> Draft {
    guard let value = root["$schema"] else { return .twenty }
    guard let name = value.stringValue else { throw Failure(.invalidArgument, "#/$schema is not a string") }
    let known: [(String, Draft)] = [
      ("draft-03", .four), ("draft-04", .four), ("draft-06", .six), ("draft-07", .seven), ("2019-09", .nineteen),
      ("2020-12", .twenty),
    ]
    return known.first { name.contains($0.0) }?.1 ?? .twenty
  }

  /// The key of a schema's own name.
  var identifier: String { draft == .four ? "id" : "$id" }

  private func collectNames(_ value: JSON, path: String, base: String, depth: Int) {
    guard depth < 200 else { return }
    switch value {
    case .object(let object):
      let outer = base
      let base = self.base(of: value, within: outer)
      if let name = object[identifier]?.stringValue, !name.isEmpty {
        named[name.hasPrefix("#") ? URIReference.resolve(name, base: outer) : base] = (value, path, outer)
      }
      for key in ["$anchor", "$dynamicAnchor"] {
        if let anchor = object[key]?.stringValue { named["\(base)#\(anchor)"] = (value, path, outer) }
      }
      for (key, member) in object where key != "enum" && key != "const" {
        collectNames(member, path: SchemaDocument.path(path, key), base: base, depth: depth + 1)
      }
    case .array(let items):
      for (index, item) in items.enumerated() {
        collectNames(item, path: "\(path)/\(index)", base: base, depth: depth + 1)
      }
    default: break
    }
  }

  /// The URI that references within a schema begin from.
  private func base(of schema: JSON, within base: String) -> String {
    // In older drafts a name that begins so is an anchor.
    guard let name = schema[identifier]?.stringValue, !name.isEmpty, !name.hasPrefix("#") else { return base }
    return URIReference.withoutFragment(URIReference.resolve(name, base: base))
  }

  /// The JSON pointer of a member.
  static func path(_ path: String, _ key: String) -> String {
    var result = path + "/"
    for scalar in key.unicodeScalars {
      result += scalar == "~" ? "~0" : scalar == "/" ? "~1" : String(Character(scalar))
    }
    return result
  }

  /// The whole document.
  func whole() -> SchemaNode { node(root, path: "#", base: "") }

  func node(_ value: JSON, path: String, base: String) -> SchemaNode {
    if let known = numbers[path] { return known }
    let number = SchemaNode(nodes.count)
    nodes.append(.schema(value, path: path, base: self.base(of: value, within: base)))
    numbers[path] = number
    return number
  }

  /// What this one does not allow.
  func complement(of node: SchemaNode) -> SchemaNode {
    if case .complement(let inner) = nodes[Int(node)] { return inner }
    if let known = complements[node] { return known }
    nodes.append(.complement(of: node))
    let number = SchemaNode(nodes.count - 1)
    complements[node] = number
    return number
  }

  /// A schema that allows nothing.
  func never() -> SchemaNode {
    if let nothing { return nothing }
    nodes.append(.nothing)
    let number = SchemaNode(nodes.count - 1)
    nothing = number
    return number
  }

  func reference(_ text: String, at path: String, base: String) throws(Failure) -> SchemaNode {
    let absolute = URIReference.resolve(text, base: base)
    if let (value, path, base) = named[absolute] { return node(value, path: path, base: base) }
    let resource = URIReference.withoutFragment(absolute)
    let fragment = String(absolute.dropFirst(resource.count).drop { $0 == "#" })
    var found: (value: JSON, path: String, base: String)
    if resource.isEmpty || resource == rootResource {
      found = (root, "#", "")
    } else if let (value, path, base) = named[resource] {
      found = (value, path, base)
    } else {
      throw Failure(
        .unsupported, "\(path): the reference \(Excerpt.name(text)) leads out of the schema; nothing is fetched")
    }
    guard fragment.isEmpty || fragment.hasPrefix("/") else {
      throw Failure(.invalidArgument, "\(path): the reference \(Excerpt.name(text)) names an anchor that is not there")
    }
    for part in fragment.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
      let key = URIReference.pointerToken(String(part))
      let next: JSON? =
        if let items = found.value.arrayValue, let index = Int(key), items.indices.contains(index) {
          items[index]
        } else {
          found.value[key]
        }
      guard let next else {
        throw Failure(.invalidArgument, "\(path): the reference \(Excerpt.name(text)) leads nowhere")
      }
      found = (next, SchemaDocument.path(found.path, key), self.base(of: found.value, within: found.base))
    }
    return node(found.value, path: found.path, base: found.base)
  }
}

/// As much of RFC 3986 and RFC 6901 as references within a document need.
enum URIReference {
  static func withoutFragment(_ uri: String) -> String { String(uri.prefix { $0 != "#" }) }

  static func resolve(_ reference: String, base: String) -> String {
    if reference.hasPrefix("#") { return withoutFragment(base) + (reference == "#" ? "" : reference) }
    let trimmed = reference.hasSuffix("#") ? String(reference.dropLast()) : reference
    if hasScheme(trimmed) || base.isEmpty { return trimmed }
    let (authority, path) = split(withoutFragment(base))
    if trimmed.hasPrefix("/") { return authority + trimmed }
    let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? (authority.isEmpty ? "" : "/")
    return authority + normalized(folder + trimmed)
  }

  private static func hasScheme(_ text: String) -> Bool {
    guard let colon = text.firstIndex(of: ":"), let first = text.first, first.isLetter else { return false }
    return text[..<colon].allSatisfy { $0.isLetter || $0.isNumber || "+-.".contains($0) }
  }

  /// Scheme and authority, and the rest.
  private static func split(_ uri: String) -> (String, String) {
    guard hasScheme(uri), let colon = uri.firstIndex(of: ":") else { return ("", uri) }
    let rest = uri[uri.index(after: colon)...]
    guard rest.hasPrefix("//") else { return (String(uri[...colon]), String(rest)) }
    let path = rest.dropFirst(2).firstIndex(of: "/") ?? rest.endIndex
    return (String(uri[..<path]), String(uri[path...]))
  }

  /// Without `.` and `..`.
  private static func normalized(_ path: String) -> String {
    let fragment = path.firstIndex(of: "#") ?? path.endIndex
    var parts: [Substring] = []
    for part in path[..<fragment].split(separator: "/", omittingEmptySubsequences: false) {
      if part == ".." { if parts.count > 1 { parts.removeLast() } } else if part != "." { parts.append(part) }
    }
    return parts.joined(separator: "/") + path[fragment...]
  }

  /// A part of a JSON pointer in a fragment, as a member's name.
  static func pointerToken(_ part: String) -> String {
    var bytes: [UInt8] = []
    var rest = Array(part.utf8)[...]
    while let byte = rest.popFirst() {
      if byte == 0x25, rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) {
        bytes.append(value)
        rest = rest.dropFirst(2)
      } else {
        bytes.append(byte)
      }
    }
    var result = ""
    var isEscaped = false
    for character in String(decoding: bytes, as: UTF8.self).unicodeScalars {
      if isEscaped {
        result += character == "1" ? "/" : character == "0" ? "~" : "~\(character)"
        isEscaped = false
      } else if character == "~" {
        isEscaped = true
      } else {
        result.unicodeScalars.append(character)
      }
    }
    return result
  }
}
