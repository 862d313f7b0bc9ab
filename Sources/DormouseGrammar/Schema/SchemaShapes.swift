import DormouseSupport

/// What schemas allow, as shapes of which any may hold: keywords are read, references followed, conditions and
/// combinations resolved.
final class SchemaShapes {
  let document: SchemaDocument
  let texts: JSONTexts
  private var known: [SchemaNode: [Shape]] = [:]
  private var inProgress: Set<SchemaNode> = []
  private var emptiness: [Conjunction: Bool] = [:]
  /// Questions about emptiness that are being answered, and whether one led back to what is being read.
  private var questions = 0
  private var hasMetItself = false

  /// Shapes of one schema at most.
  private static let maximumCount = 512
  /// Schemas within one another that are read at a time, by references and combinations.
  private static let maximumDepth = 100
  /// Questions about emptiness within one another; beyond that a schema counts as allowing something.
  private static let maximumQuestions = 8

  init(_ document: SchemaDocument, _ texts: JSONTexts) {
    self.document = document
    self.texts = texts
  }

  private var expressions: Expressions { texts.expressions }

  // MARK: - Of nodes

  func shapes(of conjunction: Conjunction) throws(Failure) -> [Shape] {
    var result = [anything]
    for node in conjunction { result = try intersection(result, try shapes(of: node)) }
    return result
  }

  func shapes(of node: SchemaNode) throws(Failure) -> [Shape] {
    if let known = known[node] { return known }
    guard inProgress.insert(node).inserted else {
      hasMetItself = questions > 0
      throw Failure(.unsupported, "\(path(of: node)): the schema refers to itself with no value between")
    }
    defer { inProgress.remove(node) }
    guard inProgress.count <= Self.maximumDepth else {
      throw Failure(
        .unsupported,
        "\(path(of: node)): more than \(Self.maximumDepth) schemas refer to one another with no value between")
    }
    let result: [Shape]
    switch document.nodes[Int(node)] {
    case .nothing: result = []
    case .complement(let inner): result = try complement(try shapes(of: inner), at: path(of: inner))
    case .schema(let value, let path, let base):
      result = try SchemaReader(shapes: self, path: path, base: base).shapes(of: value)
    }
    known[node] = result
    return result
  }

  private func path(of node: SchemaNode) -> String {
    switch document.nodes[Int(node)] {
    case .schema(_, let path, _): path
    case .complement(let inner): path(of: inner)
    case .nothing: "#"
    }
  }

  /// Whether no value is allowed, as far as that is seen without going round: a schema in the midst of being read counts as
  /// allowing something.
  func isEmpty(_ conjunction: Conjunction) throws(Failure) -> Bool {
    if conjunction.isEmpty { return false }
    let key = conjunction.key
    if let known = emptiness[key] { return known }
    guard questions < Self.maximumQuestions else { return false }
    questions += 1
    defer { questions -= 1 }
    do {
      let result = try shapes(of: conjunction).isEmpty
      emptiness[key] = result
      return result
    } catch {
      guard hasMetItself else { throw error }
      hasMetItself = false
      return false
    }
  }

  /// Takes note that no value is allowed, since each would be endless.
  func noteEmpty(_ conjunction: Conjunction) { emptiness[conjunction.key] = true }

  // MARK: - All values

  var anything: Shape {
    Shape(
      null: true, isTrue: true, isFalse: true, number: texts.anyNumber, string: texts.anyString, array: ArrayShape(),
      object: ObjectShape())
  }

  // MARK: - Combinations

  func intersection(_ some: [Shape], _ others: [Shape]) throws(Failure) -> [Shape] {
    var result: [Shape] = []
    for one in some {
      for other in others {
        let both = try intersection(one, other)
        expressions.effort.spend(64)
        try expressions.effort.check()
        if !both.isEmpty { result.append(both) }
        try checkCount(result.count)
      }
    }
    return result
  }

  func checkCount(_ count: Int) throws(Failure) {
    guard count <= Self.maximumCount else {
      throw Failure(.unsupported, "the schema's combinations come to more than \(Self.maximumCount) alternatives")
    }
  }

  private func intersection(_ one: Shape, _ other: Shape) throws(Failure) -> Shape {
    var result = Shape()
    result.null = one.null && other.null
    result.isTrue = one.isTrue && other.isTrue
    result.isFalse = one.isFalse && other.isFalse
    result.number = both(one.number, other.number, texts.anyNumber)
    result.string = both(one.string, other.string, texts.anyString)
    if let array = one.array, let second = other.array {
      result.array = try reduced(array.intersection(second))
    }
    if let object = one.object, let second = other.object {
      result.object = try reduced(object.intersection(second))
    }
    return result
  }

  private func both(_ one: ExpressionID, _ other: ExpressionID, _ all: ExpressionID) -> ExpressionID {
    if one == all { return other }
    if other == all { return one }
    return expressions.alive(expressions.intersection([one, other]))
  }

  /// Nil where no array is one.
  func reduced(_ array: ArrayShape) throws(Failure) -> ArrayShape? {
    var result = array
    for index in 0..<array.prefixCount where index < array.maximum ?? .max {
      if try isEmpty(array.item(index)) { result.maximum = index }
    }
    let rest = array.item(array.prefixCount)
    if array.prefixCount < result.maximum ?? .max, try isEmpty(rest) { result.maximum = array.prefixCount }
    return result.isEmpty ? nil : result
  }

  /// Nil where no object is one.
  func reduced(_ object: ObjectShape) throws(Failure) -> ObjectShape? {
    if let maximum = object.maximum, maximum < max(object.minimum, object.required.count) { return nil }
    for name in object.required {
      guard let schema = member(name, of: object), try !isEmpty(schema) else { return nil }
    }
    // Where there are no others than those with names, these must be enough.
    if object.minimum > 0, object.parts.contains(where: { $0.patterns.isEmpty && isNever($0.additional) }) {
      var count = 0
      for name in object.names {
        if let schema = member(name, of: object), try !isEmpty(schema) { count += 1 }
      }
      guard count >= object.minimum else { return nil }
    }
    return object
  }

  private func isNever(_ conjunction: Conjunction) -> Bool {
    conjunction.contains { if case .nothing = document.nodes[Int($0)] { true } else { false } }
  }

  /// What the member of a name must be; nil where there may be none of that name.
  func member(_ name: ExactString, of object: ObjectShape) -> Conjunction? {
    let text = Array(SchemaShapes.quoted(name).utf8)
    guard object.nameLanguages.allSatisfy({ expressions.matches($0, text) }) else { return nil }
    var result: Conjunction = []
    for part in object.parts {
      var isKnown = false
      if let property = part.properties[name] {
        result += property
        isKnown = true
      }
      for pattern in part.patterns where expressions.matches(pattern.names, text) {
        result += pattern.schema
        isKnown = true
      }
      if !isKnown { result += part.additional }
    }
    return result
  }

  /// A text as a JSON string with no more escapes than it needs.
  static func quoted(_ text: ExactString) -> String { JSON.string(text.string).text() }

  // MARK: - Complements

  func complement(_ shapes: [Shape], at path: String) throws(Failure) -> [Shape] {
    var result = [anything]
    for shape in shapes { result = try intersection(result, try complement(shape, at: path)) }
    return result
  }

  private func complement(_ shape: Shape, at path: String) throws(Failure) -> [Shape] {
    var scalars = Shape()
    scalars.null = !shape.null
    scalars.isTrue = !shape.isTrue
    scalars.isFalse = !shape.isFalse
    scalars.number =
      shape.number == Expressions.nothing
      ? texts.anyNumber
      : shape.number == texts.anyNumber ? Expressions.nothing : texts.otherNumbers(than: shape.number)
    scalars.string = shape.string == Expressions.nothing ? texts.anyString : texts.otherStrings(than: shape.string)
    var arrays = [ArrayShape()]
    if let array = shape.array { arrays = try complement(array, at: path) }
    var objects = [ObjectShape()]
    if let object = shape.object { objects = try complement(object, at: path) }
    var result = [scalars]
    for array in arrays { if let array = try reduced(array) { result.append(Shape(array: array)) } }
    for object in objects { if let object = try reduced(object) { result.append(Shape(object: object)) } }
    return result.filter { !$0.isEmpty }
  }

  private func complement(_ array: ArrayShape, at path: String) throws(Failure) -> [ArrayShape] {
    guard !array.isUnique else { throw Failure(.unsupported, "\(path): not with uniqueItems is not enforced") }
    var result: [ArrayShape] = []
    if array.minimum > 0 { result.append(ArrayShape(maximum: array.minimum - 1)) }
    if let maximum = array.maximum { result.append(ArrayShape(minimum: maximum + 1)) }
    for part in array.parts {
      guard part.prefix.isEmpty else {
        throw Failure(.unsupported, "\(path): not with items at places of their own is not enforced")
      }
      for node in part.rest {
        result.append(
          ArrayShape(contains: [.init(schema: [document.complement(of: node)], minimum: 1, maximum: nil)]))
      }
    }
    for contained in array.contains {
      guard contained.minimum == 1, contained.maximum == nil, contained.schema.count == 1 else {
        throw Failure(.unsupported, "\(path): not with minContains or maxContains is not enforced")
      }
      for node in contained.schema {
        result.append(ArrayShape(parts: [.init(rest: [document.complement(of: node)])]))
      }
    }
    return result
  }

  private func complement(_ object: ObjectShape, at path: String) throws(Failure) -> [ObjectShape] {
    guard object.nameLanguages.isEmpty,
      object.parts.allSatisfy({ $0.patterns.isEmpty && $0.additional.isEmpty })
    else {
      throw Failure(
        .unsupported,
        "\(path): not with additionalProperties, patternProperties or propertyNames is not enforced")
    }
    var result: [ObjectShape] = []
    if object.minimum > 0 { result.append(ObjectShape(maximum: object.minimum - 1)) }
    if let maximum = object.maximum { result.append(ObjectShape(minimum: maximum + 1)) }
    for name in object.required {
      result.append(
        ObjectShape(parts: [.init(names: [name], properties: [name: [document.never()]])]))
    }
    for part in object.parts {
      for name in part.names {
        for node in part.properties[name] ?? [] {
          result.append(
            ObjectShape(
              parts: [.init(names: [name], properties: [name: [document.complement(of: node)]])], required: [name]))
        }
      }
    }
    return result
  }
}

extension Expressions {
  func matches(_ expression: ExpressionID, _ text: some Collection<UInt8>) -> Bool {
    effort.spend(text.count)
    return accepts(text.reduce(expression) { next($0, $1) })
  }
}
