extension JSON {
  /// How a value is written.
  public struct Style: Sendable {
    /// Between the members of an object or the elements of an array.
    public var itemSeparator: String
    /// Between a key and its value.
    public var keySeparator: String
    /// Spaces a level, one item a line; nil writes one line.
    public var indent: Int?

    public init(itemSeparator: String = ",", keySeparator: String = ":", indent: Int? = nil) {
      self.itemSeparator = itemSeparator
      self.keySeparator = keySeparator
      self.indent = indent
    }

    /// No white space at all.
    public static let compact = Style()
    /// Two spaces a level, for people.
    public static let pretty = Style(keySeparator: ": ", indent: 2)
    /// The separators of Python's `json.dumps`.
    public static let python = Style(itemSeparator: ", ", keySeparator: ": ")
  }

  /// The value as JSON text; characters beyond ASCII are written as themselves.
  public func text(_ style: Style = .compact) -> String {
    var output = ""
    write(to: &output, style: style, level: 0)
    return output
  }

  private func write(to output: inout String, style: Style, level: Int) {
    switch self {
    case .null: output += "null"
    case .bool(let value): output += value ? "true" : "false"
    case .integer(let value): output += String(value)
    case .largeInteger(let digits): output += digits
    case .number(let value): output += value.isFinite ? value.description : "null"
    case .string(let value): JSON.writeString(value, to: &output)
    case .array(let values):
      writeItems(values, "[", "]", to: &output, style: style, level: level) { value, output in
        value.write(to: &output, style: style, level: level + 1)
      }
    case .object(let members):
      writeItems(Array(members), "{", "}", to: &output, style: style, level: level) { member, output in
        JSON.writeString(member.key, to: &output)
        output += style.keySeparator
        member.value.write(to: &output, style: style, level: level + 1)
      }
    }
  }

  private func writeItems<Item>(
    _ items: [Item], _ open: String, _ close: String, to output: inout String, style: Style, level: Int,
    _ writeItem: (Item, inout String) -> Void
  ) {
    output += open
    for (index, item) in items.enumerated() {
      if index > 0 { output += style.indent == nil ? style.itemSeparator : "," }
      if let indent = style.indent { output += "\n" + String(repeating: " ", count: indent * (level + 1)) }
      writeItem(item, &output)
    }
    if let indent = style.indent, !items.isEmpty { output += "\n" + String(repeating: " ", count: indent * level) }
    output += close
  }

  private static func writeString(_ value: String, to output: inout String) {
    output += "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": output += "\\\""
      case "\\": output += "\\\\"
      case "\n": output += "\\n"
      case "\r": output += "\\r"
      case "\t": output += "\\t"
      case "\u{08}": output += "\\b"
      case "\u{0C}": output += "\\f"
      case "\u{00}"..<"\u{20}":
        let digits = String(scalar.value, radix: 16)
        output += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: output.unicodeScalars.append(scalar)
      }
    }
    output += "\""
  }
}
