public import DormouseSupport

/// The types that tools' schemas give their parameters, for formats whose values have none of their own.
public struct ToolParameters: Sendable {
  /// A type of JSON Schema; a number may be whole.
  enum ValueType: String, Sendable {
    case null, boolean, number, string, array, object

    /// The type of a valid value, without white space around it.
    init(ofJSON text: ArraySlice<UInt8>) {
      self =
        switch text.first {
        case UInt8(ascii: "{"): .object
        case UInt8(ascii: "["): .array
        case UInt8(ascii: "\""): .string
        case UInt8(ascii: "t"), UInt8(ascii: "f"): .boolean
        case UInt8(ascii: "n"): .null
        default: .number
        }
    }
  }

  private struct Parameter: Hashable {
    var tool: [UInt8]
    var name: [UInt8]
  }

  /// Schemas within each other that are looked at.
  private static let depthLimit = 16
  private var types: [Parameter: Set<ValueType>] = [:]

  /// No tool is known.
  public init() {}

  /// - Parameter tools: a chat's `tools`: objects with a `function`, or functions themselves. What says nothing of a
  ///   parameter's type is passed over.
  public init(tools: [JSON]) {
    for tool in tools {
      let function = tool["function"] ?? tool
      guard let name = function["name"]?.stringValue,
        let properties = function["parameters"]?["properties"]?.objectValue
      else { continue }
      for (key, schema) in properties {
        types[Parameter(tool: Array(name.utf8), name: Array(key.utf8))] = ToolParameters.types(schema, depth: 0)
      }
    }
  }

  /// The types that a parameter's value may have; nil where no schema says.
  func types(of name: [UInt8], in tool: [UInt8]) -> Set<ValueType>? { types[Parameter(tool: tool, name: name)] }

  private static func types(_ schema: JSON, depth: Int) -> Set<ValueType>? {
    guard depth < depthLimit else { return nil }
    if let type = schema["type"] {
      let names = type.arrayValue ?? [type]
      let types = names.compactMap { $0.stringValue.flatMap(valueType) }
      return types.count == names.count ? Set(types) : nil
    }
    if let constant = schema["const"] { return [valueType(constant)] }
    if let values = schema["enum"]?.arrayValue { return Set(values.map(valueType)) }
    guard let branches = (schema["anyOf"] ?? schema["oneOf"])?.arrayValue else { return nil }
    var union: Set<ValueType> = []
    for branch in branches {
      guard let types = types(branch, depth: depth + 1) else { return nil }
      union.formUnion(types)
    }
    return union
  }

  private static func valueType(_ name: String) -> ValueType? {
    name == "integer" ? .number : ValueType(rawValue: name)
  }

  private static func valueType(_ value: JSON) -> ValueType {
    switch value {
    case .null: .null
    case .bool: .boolean
    case .integer, .largeInteger, .number: .number
    case .string: .string
    case .array: .array
    case .object: .object
    }
  }
}
