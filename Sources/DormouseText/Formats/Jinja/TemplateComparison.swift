internal import DormouseSupport

/// Truth, equality and order as Python has them.
extension TemplateValue {
  /// `==`. Undefined equals undefined only; numbers compare by value, booleans among them.
  func equals(_ other: TemplateValue) -> Bool {
    switch (self, other) {
    case (.undefined, .undefined), (.none, .none): true
    case (.text(let left), .text(let right)): left == right
    case (.sequence(let left), .sequence(let right)): left.equals(right)
    case (.dictionary(let left), .dictionary(let right)): left.equals(right)
    case (.object(let left), .object(let right)): left == right
    case (.function(let left), .function(let right)): left == right
    case (.method(let left), .method(let right)): left === right
    default: equalsNumber(other)
    }
  }

  private func equalsNumber(_ other: TemplateValue) -> Bool {
    if isLargeInteger || other.isLargeInteger { return equalsLarge(other) }
    if let left = integerValue, let right = other.integerValue { return left == right }
    if case .float(let left) = self, case .float(let right) = other { return left == right }
    if case .float(let left) = self, let right = other.integerValue { return Int(exactly: left) == right }
    if let left = integerValue, case .float(let right) = other { return Int(exactly: right) == left }
    return false
  }

  /// Whether `self < other`, for what Python can order.
  func isLess(than other: TemplateValue) throws(Failure) -> Bool {
    switch (self, other) {
    case (.undefined(let undefined), _), (_, .undefined(let undefined)):
      throw Failure(.invalidArgument, undefined.message)
    case (.text(let left), .text(let right)):
      return left.scalars.lexicographicallyPrecedes(right.scalars)
    case (.sequence(let left), .sequence(let right)) where left.kind == right.kind && left.kind.isSequence:
      return try left.isLess(than: right)
    default:
      if isLargeInteger || other.isLargeInteger, let isLess = isLessLarge(than: other) { return isLess }
      if let left = integerValue, let right = other.integerValue { return left < right }
      if let left = number, let right = other.number { return left < right }
      throw Failure(
        .invalidArgument, "'<' not supported between instances of '\(typeName)' and '\(other.typeName)'")
    }
  }
}

extension TemplateSequence {
  fileprivate func equals(_ other: TemplateSequence) -> Bool {
    switch (kind, other.kind) {
    case (.list, .list), (.tuple, .tuple), (.range, .range), (.keys, .keys), (.items, .items):
      guard items.count == other.items.count else { return false }
      for (left, right) in zip(items, other.items) where !left.equals(right) { return false }
      return true
    default: return self === other
    }
  }

  fileprivate func isLess(than other: TemplateSequence) throws(Failure) -> Bool {
    for (left, right) in zip(items, other.items) where !left.equals(right) { return try left.isLess(than: right) }
    return items.count < other.items.count
  }
}

extension TemplateDictionary {
  fileprivate func equals(_ other: TemplateDictionary) -> Bool {
    guard count == other.count else { return false }
    for (key, value) in members {
      guard let found = try? other.value(for: key), found.equals(value) else { return false }
    }
    return true
  }
}

extension Array where Element == TemplateValue {
  /// Sorted by `keys`, which belong to the elements one by one; equal keys keep their order.
  func sorted(by keys: [TemplateValue], descending: Bool) throws(Failure) -> [TemplateValue] {
    var failure: Failure?
    let order = indices.sorted { left, right in
      guard failure == nil, left < keys.count, right < keys.count else { return left < right }
      do throws(Failure) {
        let (first, second) = descending ? (keys[right], keys[left]) : (keys[left], keys[right])
        if try first.isLess(than: second) { return true }
        if try second.isLess(than: first) { return false }
      } catch { failure = error }
      return left < right
    }
    if let failure { throw failure }
    return order.map { self[$0] }
  }
}
