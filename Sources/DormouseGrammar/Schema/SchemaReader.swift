import DormouseSupport

/// Reads the keywords of one schema object.
struct SchemaReader {
  let shapes: SchemaShapes
  let path: String
  let base: String

  private var texts: JSONTexts { shapes.texts }
  var document: SchemaDocument { shapes.document }
  private var expressions: Expressions { texts.expressions }

  func shapes(of value: JSON) throws(Failure) -> [Shape] {
    switch value {
    case .bool(let isAllowed): return isAllowed ? [shapes.anything] : []
    case .object(let keywords): return try shapes(of: keywords)
    default: throw wrong("", value, "an object or a boolean")
    }
  }

  private func shapes(of keywords: JSONObject) throws(Failure) -> [Shape] {
    if let reference = keywords["$ref"] {
      let target = try shapes.shapes(of: try self.reference(reference))
      if document.draft <= .seven { return target }
      return try shapes.intersection(target, try shapesWithoutReference(keywords))
    }
    return try shapesWithoutReference(keywords)
  }

  private func shapesWithoutReference(_ keywords: JSONObject) throws(Failure) -> [Shape] {
    try refuseUnknown(keywords)
    var result = try shapes.intersection([try types(keywords["type"])], [try assertions(keywords)])
    if let values = keywords["enum"] { result = try shapes.intersection(result, try constants(values)) }
    if let value = keywords["const"] { result = try shapes.intersection(result, [try constant(value, "const")]) }
    for node in try nodes(keywords, "allOf") {
      result = try shapes.intersection(result, try shapes.shapes(of: node))
    }
    if keywords["anyOf"] != nil {
      var any: [Shape] = []
      for node in try nodes(keywords, "anyOf") { any += try shapes.shapes(of: node) }
      result = try shapes.intersection(result, any)
    }
    if keywords["oneOf"] != nil { result = try oneOf(try nodes(keywords, "oneOf"), within: result) }
    if let not = keywords["not"] {
      result = try shapes.intersection(
        result, try shapes.shapes(of: document.complement(of: child(not, "not"))))
    }
    result = try shapes.intersection(result, try condition(keywords))
    for (name, needed) in try dependencies(keywords) {
      result = try shapes.intersection(result, try dependent(name, needed))
    }
    return result
  }

  // MARK: - Parts of the document

  func child(_ value: JSON, _ key: String) -> SchemaNode {
    document.node(value, path: SchemaDocument.path(path, key), base: base)
  }

  private func nodes(_ keywords: JSONObject, _ key: String) throws(Failure) -> [SchemaNode] {
    guard let value = keywords[key] else { return [] }
    guard let items = value.arrayValue, !items.isEmpty else { throw wrong(key, value, "a non-empty array") }
    let inner = SchemaDocument.path(path, key)
    return items.enumerated().map { document.node($1, path: "\(inner)/\($0)", base: base) }
  }

  private func reference(_ value: JSON) throws(Failure) -> SchemaNode {
    guard let text = value.stringValue else { throw wrong("$ref", value, "a string") }
    return try document.reference(text, at: SchemaDocument.path(path, "$ref"), base: base)
  }

  func wrong(_ key: String, _ value: JSON, _ expected: String) -> Failure {
    let place = key.isEmpty ? path : SchemaDocument.path(path, key)
    return Failure(.invalidArgument, "\(place) is \(Excerpt.json(value)); expected \(expected)")
  }

  private func unsupported(_ key: String, _ why: String) -> Failure {
    Failure(.unsupported, "\(SchemaDocument.path(path, key)): \(why)")
  }

  /// Assertions that would be passed over in silence.
  private func refuseUnknown(_ keywords: JSONObject) throws(Failure) {
    for key in ["unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$recursiveRef", "extends", "disallow"]
    where keywords[key] != nil {
      throw unsupported(key, "this keyword is not enforced")
    }
  }

  private func count(_ keywords: JSONObject, _ key: String) throws(Failure) -> Int? {
    guard let value = keywords[key] else { return nil }
    guard let number = value.doubleValue, number >= 0, number == number.rounded(), number < 1e9 else {
      throw wrong(key, value, "a whole number that is not negative")
    }
    return Int(number)
  }

  // MARK: - Types

  private func types(_ value: JSON?) throws(Failure) -> Shape {
    guard let value else { return shapes.anything }
    var result = Shape()
    for name in value.arrayValue ?? [value] {
      switch name.stringValue {
      case "null": result.null = true
      case "boolean":
        result.isTrue = true
        result.isFalse = true
      case "number": result.number = texts.anyNumber
      case "integer":
        let integer = document.draft == .four ? texts.digits : texts.integer
        result.number = expressions.union([result.number, integer])
      case "string": result.string = texts.anyString
      case "array": result.array = ArrayShape()
      case "object": result.object = ObjectShape()
      case "any" where document.draft == .four: return shapes.anything
      default: throw wrong("type", value, "a type, or an array of types")
      }
    }
    return result
  }

  /// What the keywords about single types demand, each of its type alone.
  private func assertions(_ keywords: JSONObject) throws(Failure) -> Shape {
    var result = shapes.anything
    result.number = try number(keywords)
    result.string = try string(keywords)
    result.array = try shapes.reduced(try array(keywords))
    result.object = try shapes.reduced(try object(keywords))
    return result
  }

  // MARK: - Numbers

  private func number(_ keywords: JSONObject) throws(Failure) -> ExpressionID {
    var parts = [texts.anyNumber]
    for (key, exclusiveKey, isMinimum) in [
      ("minimum", "exclusiveMinimum", true), ("maximum", "exclusiveMaximum", false),
    ] {
      // In draft 4 the second is a boolean, and says what the first is.
      let isExclusive = keywords[exclusiveKey]?.boolValue ?? false
      if let value = keywords[key] {
        let limit = try decimal(value, key)
        parts.append(
          isMinimum
            ? texts.numbers(from: limit, isExclusive: isExclusive)
            : texts.numbers(upTo: limit, isExclusive: isExclusive))
      }
      if let value = keywords[exclusiveKey], value.boolValue == nil {
        let limit = try decimal(value, exclusiveKey)
        parts.append(
          isMinimum ? texts.numbers(from: limit, isExclusive: true) : texts.numbers(upTo: limit, isExclusive: true))
      }
    }
    for key in ["multipleOf", "divisibleBy"] {
      guard let value = keywords[key] else { continue }
      let divisor = try decimal(value, key)
      guard !divisor.isZero, !divisor.isNegative else { throw wrong(key, value, "a number above 0") }
      guard let multiples = try texts.multiples(of: divisor) else {
        throw unsupported(key, "\(Excerpt.json(value)) is neither a whole number up to 100000 nor a power of ten")
      }
      parts.append(multiples)
    }
    return parts.count == 1 ? texts.anyNumber : expressions.alive(expressions.intersection(parts))
  }

  private func decimal(_ value: JSON, _ key: String) throws(Failure) -> Decimal {
    guard let number = Decimal(value) else { throw wrong(key, value, "a number") }
    return number
  }

  // MARK: - Strings

  private func string(_ keywords: JSONObject) throws(Failure) -> ExpressionID {
    var parts: [ExpressionID] = []
    let minimum = try count(keywords, "minLength") ?? 0
    let maximum = try count(keywords, "maxLength")
    if minimum > 0 || maximum != nil { parts.append(texts.string(minimum: minimum, maximum: maximum)) }
    if let value = keywords["pattern"] {
      guard let pattern = value.stringValue else { throw wrong("pattern", value, "a string") }
      parts.append(
        try contextualize(SchemaDocument.path(path, "pattern")) { () throws(Failure) in
          try texts.string(pattern: pattern)
        })
    }
    if let value = keywords["format"] {
      guard let name = value.stringValue else { throw wrong("format", value, "a string") }
      if let pattern = StringFormat.pattern(name) {
        parts.append(
          try contextualize(SchemaDocument.path(path, "format")) { () throws(Failure) in
            try texts.string(pattern: pattern, isWhole: true)
          })
      }
    }
    guard let first = parts.first else { return texts.anyString }
    return parts.count == 1 ? first : expressions.alive(expressions.intersection(parts))
  }

  private func contextualize<Result>(_ place: String, _ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    do { return try body() } catch { throw error.prefixed(place) }
  }

  // MARK: - Arrays

  private func array(_ keywords: JSONObject) throws(Failure) -> ArrayShape {
    var result = ArrayShape(minimum: try count(keywords, "minItems") ?? 0, maximum: try count(keywords, "maxItems"))
    var part = ArrayShape.Part()
    // Before 2020-12 an array of `items` is what `prefixItems` is now, and `additionalItems` what `items` is.
    let isTuple = keywords["items"]?.arrayValue != nil
    let prefix = isTuple ? "items" : "prefixItems"
    if let items = keywords[prefix] {
      guard let items = items.arrayValue else { throw wrong(prefix, items, "an array") }
      let inner = SchemaDocument.path(path, prefix)
      part.prefix = items.enumerated().map { [document.node($1, path: "\(inner)/\($0)", base: base)] }
    }
    let rest = isTuple ? "additionalItems" : "items"
    if let items = keywords[rest] { part.rest = conjunction(items, rest) }
    if !part.prefix.isEmpty || !part.rest.isEmpty { result.parts = [part] }
    if let contained = keywords["contains"] {
      let minimum = try count(keywords, "minContains") ?? 1
      let maximum = try count(keywords, "maxContains")
      if minimum > 0 || maximum != nil {
        result.contains = [.init(schema: [child(contained, "contains")], minimum: minimum, maximum: maximum)]
      }
    }
    result.isUnique = keywords["uniqueItems"]?.boolValue ?? false
    return result
  }

  /// A schema that allows everything is none.
  private func conjunction(_ value: JSON, _ key: String) -> Conjunction {
    if value == .bool(true) || value.objectValue?.isEmpty == true { return [] }
    if value == .bool(false) { return [document.never()] }
    return [child(value, key)]
  }

  // MARK: - Objects

  private func object(_ keywords: JSONObject) throws(Failure) -> ObjectShape {
    var result = ObjectShape(
      minimum: try count(keywords, "minProperties") ?? 0, maximum: try count(keywords, "maxProperties"))
    var part = ObjectShape.Part()
    if let value = keywords["properties"] {
      guard let properties = value.objectValue else { throw wrong("properties", value, "an object") }
      let reader = SchemaReader(shapes: shapes, path: SchemaDocument.path(path, "properties"), base: base)
      for (name, schema) in properties {
        part.names.append(ExactString(name))
        part.properties[ExactString(name)] = reader.conjunction(schema, name)
      }
    }
    if let value = keywords["patternProperties"] {
      guard let patterns = value.objectValue else { throw wrong("patternProperties", value, "an object") }
      let reader = SchemaReader(shapes: shapes, path: SchemaDocument.path(path, "patternProperties"), base: base)
      for (pattern, schema) in patterns {
        let names = try contextualize(SchemaDocument.path(reader.path, pattern)) { () throws(Failure) in
          try texts.string(pattern: pattern)
        }
        part.patterns.append((names, reader.conjunction(schema, pattern)))
      }
    }
    if let value = keywords["additionalProperties"] { part.additional = conjunction(value, "additionalProperties") }
    if !part.names.isEmpty || !part.patterns.isEmpty || !part.additional.isEmpty { result.parts = [part] }
    result.required = try required(keywords)
    if let value = keywords["propertyNames"] { result.nameLanguages = [try names(value)] }
    return result
  }

  private func required(_ keywords: JSONObject) throws(Failure) -> [ExactString] {
    guard let value = keywords["required"], value.boolValue == nil || document.draft != .four else { return [] }
    return try strings(value, "required")
  }

  func strings(_ value: JSON, _ key: String) throws(Failure) -> [ExactString] {
    var seen = Set<ExactString>()
    var result: [ExactString] = []
    guard let items = value.arrayValue else { throw wrong(key, value, "an array of strings") }
    for item in items {
      guard let text = item.stringValue else { throw wrong(key, value, "an array of strings") }
      if seen.insert(ExactString(text)).inserted { result.append(ExactString(text)) }
    }
    return result
  }

  /// The names that a schema of names allows.
  private func names(_ value: JSON) throws(Failure) -> ExpressionID {
    let allowed = try shapes.shapes(of: child(value, "propertyNames"))
    return expressions.union(allowed.map(\.string))
  }

  // MARK: - Constants

  private func constants(_ value: JSON) throws(Failure) -> [Shape] {
    guard let values = value.arrayValue else { throw wrong("enum", value, "an array") }
    var scalars = Shape()
    var strings: [ExpressionID] = []
    var numbers: [ExpressionID] = []
    var result: [Shape] = []
    for (index, value) in values.enumerated() {
      let shape = try constant(value, "enum/\(index)")
      scalars.null = scalars.null || shape.null
      scalars.isTrue = scalars.isTrue || shape.isTrue
      scalars.isFalse = scalars.isFalse || shape.isFalse
      strings.append(shape.string)
      numbers.append(shape.number)
      if shape.array != nil || shape.object != nil { result.append(shape) }
    }
    scalars.string = expressions.union(strings)
    scalars.number = expressions.union(numbers)
    if !scalars.isEmpty { result.append(scalars) }
    try shapes.checkCount(result.count)
    return result
  }

  /// - Parameter key: of the value, as a part of a path that is escaped already.
  private func constant(_ value: JSON, _ key: String) throws(Failure) -> Shape {
    var result = Shape()
    switch value {
    case .null: result.null = true
    case .bool(true): result.isTrue = true
    case .bool(false): result.isFalse = true
    case .integer, .largeInteger, .number:
      guard let number = Decimal(value) else { throw unsupported(key, "a number of more than 400 digits") }
      result.number = texts.number(number)
    case .string(let text): result.string = texts.string(text)
    case .array(let items):
      let prefix: [Conjunction] = items.enumerated().map { [constantNode($1, "\(key)/\($0)")] }
      result.array = ArrayShape(parts: [.init(prefix: prefix)], minimum: items.count, maximum: items.count)
    case .object(let members):
      var part = ObjectShape.Part(additional: [document.never()])
      for (name, member) in members {
        part.names.append(ExactString(name))
        part.properties[ExactString(name)] = [constantNode(member, SchemaDocument.path(key, name))]
      }
      result.object = ObjectShape(parts: [part], required: part.names)
    }
    return result
  }

  private func constantNode(_ value: JSON, _ key: String) -> SchemaNode {
    document.node(["const": value], path: "\(path)/\(key)", base: base)
  }
}
