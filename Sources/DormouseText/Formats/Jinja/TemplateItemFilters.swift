internal import DormouseSupport

/// The filters of jinja2 over the items of a value.
extension TemplateEvaluator {
  func applyToItems(
    _ filter: TemplateFilter, _ value: TemplateValue, _ arguments: TemplateCallArguments
  ) throws(Failure) -> TemplateValue {
    switch filter {
    case .join: return try applyJoin(value, arguments)
    case .first, .last, .list, .reverse, .items: return try applyPlain(filter, value, arguments)
    case .map: return try applyMap(value, arguments)
    case .select, .reject, .selectattr, .rejectattr: return try applySelection(filter, value, arguments)
    case .sort, .unique, .min, .max, .sum, .groupby, .dictsort: return try applyOrder(filter, value, arguments)
    default: return try applyPieces(filter, value, arguments)
    }
  }

  private func charge(_ items: [TemplateValue]) throws(Failure) {
    try budget.spend((items.count + 1) * TemplateBudget.element)
  }

  private func applyJoin(_ value: TemplateValue, _ arguments: TemplateCallArguments) throws(Failure) -> TemplateValue {
    let values = try arguments.bind(["d", "attribute"], of: "join")
    var items = try items(of: value)
    if let path = values[1], !path.isNone { items = try look(up: path, in: items, default: nil) }
    let separator = try values[0].map { (value) throws(Failure) in try text(of: value) } ?? .empty
    return .text(try join(items, separator: separator, convertsItems: true))
  }

  private func applyPlain(
    _ filter: TemplateFilter, _ value: TemplateValue, _ arguments: TemplateCallArguments
  ) throws(Failure) -> TemplateValue {
    _ = try arguments.bind([], of: filter.rawValue)
    switch filter {
    case .first:
      if case .object(let number) = value, case .generator(let generator) = objects[number] {
        return generator.next() ?? .undefined(TemplateUndefined("No first item, sequence was empty."))
      }
      if case .text(let text) = value, !text.isEmpty { return .text(text.slice(0..<1)) }
      return try items(of: value).first ?? .undefined(TemplateUndefined("No first item, sequence was empty."))
    case .last:
      if case .object = value { throw failure("'\(typeName(of: value))' object is not reversible") }
      if case .text(let text) = value, !text.isEmpty { return .text(text.slice(text.count - 1..<text.count)) }
      return try items(of: value).last ?? .undefined(TemplateUndefined("No last item, sequence was empty."))
    case .list:
      let items = try items(of: value)
      try charge(items)
      return try .list(items)
    case .items:
      if value.isUndefined { return generator([]) }
      guard case .dictionary(let dictionary) = value else { throw failure("Can only get item pairs from a mapping.") }
      try budget.spendProduct(dictionary.count, 2, isText: false)
      return generator(try dictionary.items())
    default: return try reverse(value)
    }
  }

  private func reverse(_ value: TemplateValue) throws(Failure) -> TemplateValue {
    guard case .text(let text) = value else {
      let items = try items(of: value)
      try charge(items)
      if case .object = value { return try .list(items.reversed()) }
      return generator(items.reversed())
    }
    try budget.spendText(text.count)
    try budget.spend(text.count * TemplateBudget.examined)
    var builder = TemplateTextBuilder()
    for position in stride(from: text.count - 1, through: 0, by: -1) {
      builder.append(text[position], isMarkup: text.isMarkup(at: position))
    }
    return .text(builder.text.marked(safe: text.isSafe))
  }

  // MARK: Look-up by attribute

  /// The member of each item that a path names (`"address.city"`, or an integer).
  private func look(
    up path: TemplateValue, in items: [TemplateValue], default missing: TemplateValue?
  ) throws(Failure) -> [TemplateValue] {
    let keys = TemplateEvaluator.keys(of: path)
    var result: [TemplateValue] = []
    result.reserveCapacity(items.count)
    for item in items {
      try budget.spend(TemplateBudget.step)
      var value = item
      for key in keys {
        value = try self.item(key, of: value)
        if value.isUndefined, let missing { value = missing }
      }
      result.append(value)
    }
    return result
  }

  private static func keys(of path: TemplateValue) -> [TemplateValue] {
    guard case .text(let text) = path else { return path.isNone ? [] : [path] }
    let dot = TemplateText(".", isMarkup: true)
    return text.pieces(at: text.positions(of: dot, limit: .max), length: 1).map { part in
      let isNumber = !part.isEmpty && part.scalars.allSatisfy(\.isPythonDigit)
      return isNumber ? Int(part.string).map { .integer($0) } ?? .text(part) : .text(part)
    }
  }

  private func applyMap(_ value: TemplateValue, _ arguments: TemplateCallArguments) throws(Failure) -> TemplateValue {
    guard isTrue(value) else { return generator([]) }
    let items = try items(of: value)
    try charge(items)
    if arguments.positional.isEmpty, arguments.keywords.contains(where: { $0.name == "attribute" }) {
      let values = try arguments.bind(["attribute", "default"], of: "map")
      let missing = values[1].flatMap { $0.isNone ? nil : $0 }
      return generator(try look(up: values[0] ?? .none, in: items, default: missing))
    }
    guard case .text(let name)? = arguments.positional.first else { throw failure("map requires a filter argument") }
    guard let filter = TemplateFilter(rawValue: name.string) else {
      throw Failure(.unsupported, TemplateFilter.sentence(lacking: name.string))
    }
    var rest = arguments
    rest.positional.removeFirst()
    var result: [TemplateValue] = []
    for item in items {
      result.append(try nested { () throws(Failure) in try apply(filter, item, rest) })
    }
    return generator(result)
  }

  private func applySelection(
    _ filter: TemplateFilter, _ value: TemplateValue, _ arguments: TemplateCallArguments
  ) throws(Failure) -> TemplateValue {
    guard isTrue(value) else { return generator([]) }
    let items = try items(of: value)
    try charge(items)
    var rest = arguments
    var subjects = items
    if filter == .selectattr || filter == .rejectattr {
      guard let path = rest.positional.first else { throw failure("Missing parameter for attribute name") }
      rest.positional.removeFirst()
      subjects = try look(up: path, in: items, default: nil)
    }
    let test = try rest.positional.first.map { (name) throws(Failure) in try self.test(named: name) }
    if test != nil { rest.positional.removeFirst() }
    let wanted = filter == .select || filter == .selectattr
    var result: [TemplateValue] = []
    for (item, subject) in zip(items, subjects) {
      try budget.spend(TemplateBudget.step)
      let passed = if let test { try passes(test, subject, rest) } else { isTrue(subject) }
      if passed == wanted { result.append(item) }
    }
    return generator(result)
  }

  private func test(named name: TemplateValue) throws(Failure) -> TemplateTest {
    let name = try requireText(name, "select").string
    guard let test = TemplateTest(rawValue: name) else { throw Failure(.unsupported, "no test named '\(name)'") }
    return test
  }

  // MARK: Order

  private func ignoringCase(_ values: [TemplateValue], _ isCaseSensitive: Bool) throws(Failure) -> [TemplateValue] {
    guard !isCaseSensitive else { return values }
    var result: [TemplateValue] = []
    for value in values {
      guard case .text(let text) = value else {
        result.append(value)
        continue
      }
      try budget.spendText(text.count)
      try budget.spend(text.count * TemplateBudget.mapped)
      result.append(.text(text.lowercased()))
    }
    return result
  }

  private func applyOrder(
    _ filter: TemplateFilter, _ value: TemplateValue, _ arguments: TemplateCallArguments
  ) throws(Failure) -> TemplateValue {
    switch filter {
    case .dictsort: return try sortDictionary(value, arguments)
    case .sum: return try sum(value, arguments)
    case .groupby: return try group(value, arguments)
    case .sort:
      let values = try arguments.bind(["reverse", "case_sensitive", "attribute"], of: "sort")
      let items = try items(of: value)
      let keys = try sortKeys(items, values[2], isCaseSensitive: values[1].map(isTrue) ?? false)
      return try .list(try sort(items, keys, isReversed: values[0].map(isTrue) ?? false))
    default:
      let values = try arguments.bind(["case_sensitive", "attribute"], of: filter.rawValue)
      let items = try items(of: value)
      let found = try look(up: values[1] ?? .none, in: items, default: nil)
      let keys = try ignoringCase(found, values[0].map(isTrue) ?? false)
      return filter == .unique ? try unique(items, keys) : try extreme(items, keys, isMinimum: filter == .min)
    }
  }

  /// Keys of `attribute`, which may name several members with commas between them.
  private func sortKeys(
    _ items: [TemplateValue], _ attribute: TemplateValue?, isCaseSensitive: Bool
  ) throws(Failure) -> [TemplateValue] {
    guard case .text(let paths)? = attribute else {
      return try ignoringCase(try look(up: attribute ?? .none, in: items, default: nil), isCaseSensitive)
    }
    let comma = TemplateText(",", isMarkup: true)
    var columns: [[TemplateValue]] = []
    for path in paths.pieces(at: paths.positions(of: comma, limit: .max), length: 1) {
      columns.append(try ignoringCase(try look(up: .text(path), in: items, default: nil), isCaseSensitive))
    }
    var result: [TemplateValue] = []
    for index in items.indices { result.append(try .list(columns.map { $0[index] })) }
    return result
  }

  private func sort(
    _ items: [TemplateValue], _ keys: [TemplateValue], isReversed: Bool
  ) throws(Failure) -> [TemplateValue] {
    var longest = 1
    for key in keys {
      longest = max(longest, key.textValue.map { $0.count / 8 } ?? key.weight / TemplateBudget.element)
    }
    try budget.spendProduct(items.count * (Int.bitWidth - items.count.leadingZeroBitCount + 1), longest, isText: false)
    return try items.sorted(by: keys, descending: isReversed)
  }

  private func sortDictionary(
    _ value: TemplateValue, _ arguments: TemplateCallArguments
  ) throws(Failure) -> TemplateValue {
    let values = try arguments.bind(["case_sensitive", "by", "reverse"], of: "dictsort")
    guard case .dictionary(let dictionary) = value else {
      throw failure("'\(typeName(of: value))' object has no attribute 'items'")
    }
    let by = values[1]?.textValue?.string ?? "key"
    guard by == "key" || by == "value" else { throw failure("You can only sort by either \"key\" or \"value\"") }
    let keys = try ignoringCase(by == "key" ? dictionary.keys : dictionary.values, values[0].map(isTrue) ?? false)
    return try .list(try sort(try dictionary.items(), keys, isReversed: values[2].map(isTrue) ?? false))
  }

  private func unique(_ items: [TemplateValue], _ keys: [TemplateValue]) throws(Failure) -> TemplateValue {
    try charge(items)
    for key in keys { try budget.spendKey(key) }
    var seen: Set<TemplateKey> = []
    var result: [TemplateValue] = []
    for (item, key) in zip(items, keys) where seen.insert(try TemplateKey(key)).inserted { result.append(item) }
    return generator(result)
  }

  private func extreme(
    _ items: [TemplateValue], _ keys: [TemplateValue], isMinimum: Bool
  ) throws(Failure) -> TemplateValue {
    guard var best = keys.first.map({ (item: items[0], key: $0) }) else {
      return .undefined(TemplateUndefined("No aggregated item, sequence was empty."))
    }
    for (item, key) in zip(items, keys).dropFirst() {
      let isBetter = isMinimum ? try holds(.less, key, best.key) : try holds(.greater, key, best.key)
      if isBetter { best = (item, key) }
    }
    return best.item
  }

  private func sum(_ value: TemplateValue, _ arguments: TemplateCallArguments) throws(Failure) -> TemplateValue {
    let values = try arguments.bind(["attribute", "start"], of: "sum")
    var result = values[1] ?? .integer(0)
    if result.textValue != nil { throw failure("sum() can't sum strings [use ''.join(seq) instead]") }
    for item in try look(up: values[0] ?? .none, in: try items(of: value), default: nil) {
      result = try calculate(.add, result, item)
    }
    return result
  }

  /// Pairs of a key and the items that have it, sorted by key.
  private func group(_ value: TemplateValue, _ arguments: TemplateCallArguments) throws(Failure) -> TemplateValue {
    let values = try arguments.bind(["attribute", "default", "case_sensitive"], of: "groupby")
    guard let path = values[0] else { throw failure("groupby needs an attribute") }
    let missing = values[1].flatMap { $0.isNone ? nil : $0 }
    let items = try items(of: value)
    let found = try look(up: path, in: items, default: missing)
    let keys = try ignoringCase(found, values[2].map(isTrue) ?? false)
    let order = try sort(items.indices.map { .integer($0) }, keys, isReversed: false)
    var groups: [TemplateValue] = []
    var members: [TemplateValue] = []
    var first: Int?
    for case .integer(let index) in order {
      if let current = first, try !equal(keys[current], keys[index]) {
        groups.append(try .tuple([found[current], try .list(members)]))
        (members, first) = ([], nil)
      }
      first = first ?? index
      members.append(items[index])
    }
    if let first { groups.append(try .tuple([found[first], try .list(members)])) }
    return try .list(groups)
  }

  // MARK: Pieces

  private func applyPieces(
    _ filter: TemplateFilter, _ value: TemplateValue, _ arguments: TemplateCallArguments
  ) throws(Failure) -> TemplateValue {
    let values = try arguments.bind([filter == .batch ? "linecount" : "slices", "fill_with"], of: filter.rawValue)
    guard var size = try integer(values[0], "size"), size > 0 else { throw failure("\(filter.rawValue) needs a size") }
    let items = try items(of: value)
    try charge(items)
    let fill = values[1].flatMap { $0.isNone ? nil : $0 }
    if filter == .batch, fill == nil { size = min(size, items.count + 1) }
    try budget.spendProduct(size, 1, isText: false)
    var result: [TemplateValue] = []
    if filter == .batch {
      for start in stride(from: 0, to: items.count, by: size) {
        var piece = Array(items[start..<min(items.count - start, size) + start])
        if let fill { piece += [TemplateValue](repeating: fill, count: size - piece.count) }
        result.append(try .list(piece))
      }
      return generator(result)
    }
    var start = 0
    for number in 0..<size {
      let count = items.count / size + (number < items.count % size ? 1 : 0)
      var piece = Array(items[start..<start + count])
      if let fill, number >= items.count % size { piece.append(fill) }
      start += count
      result.append(try .list(piece))
    }
    return generator(result)
  }
}
