import DormouseSupport

/// What a schema allows of each type of value; the types exclude one another.
struct Shape {
  var null = false
  var isTrue = false
  var isFalse = false
  /// Texts of numbers and of strings, with their quotes.
  var number = Expressions.nothing
  var string = Expressions.nothing
  var array: ArrayShape?
  var object: ObjectShape?

  var hasScalars: Bool {
    null || isTrue || isFalse || number != Expressions.nothing || string != Expressions.nothing
  }

  var isEmpty: Bool { !hasScalars && array == nil && object == nil }
}

/// Schemas that all hold, each by its number in the document; none allows everything.
typealias Conjunction = [SchemaNode]

extension Conjunction {
  /// The same schemas, each once and in order: what they are looked up by.
  var key: Conjunction { Set(self).sorted() }
}

/// Items at their places, and behind them.
struct ArrayShape {
  struct Part {
    var prefix: [Conjunction] = []
    var rest: Conjunction = []
  }

  struct Containment {
    var schema: Conjunction
    var minimum: Int
    var maximum: Int?
  }

  /// Of which all hold.
  var parts: [Part] = []
  var contains: [Containment] = []
  var minimum = 0
  var maximum: Int?
  var isUnique = false

  var isEmpty: Bool { maximum.map { $0 < minimum } ?? false }

  func intersection(_ other: ArrayShape) -> ArrayShape {
    var result = self
    result.parts += other.parts
    result.contains += other.contains
    result.minimum = max(minimum, other.minimum)
    result.maximum = [maximum, other.maximum].compactMap { $0 }.min()
    result.isUnique = isUnique || other.isUnique
    return result
  }

  /// What the item at a place must be.
  func item(_ index: Int) -> Conjunction {
    parts.flatMap { index < $0.prefix.count ? $0.prefix[index] : $0.rest }
  }

  /// From here on all items are alike.
  var prefixCount: Int { parts.map(\.prefix.count).max() ?? 0 }
}

/// Members by their names, by patterns of names, and others.
struct ObjectShape {
  struct Part {
    var names: [ExactString] = []
    var properties: [ExactString: Conjunction] = [:]
    /// A language of names, with their quotes, and what members of such names must be.
    var patterns: [(names: ExpressionID, schema: Conjunction)] = []
    /// Of members that have neither a property nor a pattern.
    var additional: Conjunction = []
  }

  /// Of which all hold.
  var parts: [Part] = []
  var required: [ExactString] = []
  var minimum = 0
  var maximum: Int?
  /// Languages of which all names must be, with their quotes.
  var nameLanguages: [ExpressionID] = []

  func intersection(_ other: ObjectShape) -> ObjectShape {
    var result = self
    result.parts += other.parts
    result.required += other.required.filter { !required.contains($0) }
    result.minimum = max(minimum, other.minimum)
    result.maximum = [maximum, other.maximum].compactMap { $0 }.min()
    result.nameLanguages += other.nameLanguages
    return result
  }

  /// The names of properties, in the order of the schema, then further required ones.
  var names: [ExactString] {
    var seen = Set<ExactString>()
    return (parts.flatMap(\.names) + required).filter { seen.insert($0).inserted }
  }
}
