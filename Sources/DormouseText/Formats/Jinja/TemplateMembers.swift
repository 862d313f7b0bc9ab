internal import DormouseSupport

/// `value.name`, `value[key]` and calls, as jinja2's sandbox allows them.
extension TemplateEvaluator {
  /// The names of Python's own methods, which come before an object's keys in `value.name`.
  private static let textMethods: Set<String> = [
    "capitalize", "casefold", "center", "count", "encode", "endswith", "expandtabs", "find", "format", "format_map",
    "index", "isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier", "islower", "isnumeric",
    "isprintable", "isspace", "istitle", "isupper", "join", "ljust", "lower", "lstrip", "maketrans", "partition",
    "removeprefix", "removesuffix", "replace", "rfind", "rindex", "rjust", "rpartition", "rsplit", "rstrip", "split",
    "splitlines", "startswith", "strip", "swapcase", "title", "translate", "upper", "zfill",
  ]
  private static let sequenceMethods: Set<String> = ["count", "index"]
  private static let dictionaryMethods: Set<String> = ["copy", "fromkeys", "get", "items", "keys", "values"]
  private static let changingListMethods: Set<String> = [
    "append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort",
  ]
  private static let changingDictionaryMethods: Set<String> = ["clear", "pop", "popitem", "setdefault", "update"]

  /// `value.name`: a method first, then a member.
  func attribute(_ name: TemplateText, of value: TemplateValue) throws(Failure) -> TemplateValue {
    try budget.spendKey(.text(name))
    if let found = try ownAttribute(name.string, of: value) { return found }
    switch value {
    case .undefined(let undefined): throw failure(undefined.message)
    case .dictionary(let dictionary): if let member = dictionary.value(for: name) { return member }
    default: break
    }
    return .undefined(TemplateUndefined("'\(typeName(of: value))' object has no attribute '\(name.string)'"))
  }

  /// `value[key]`: a member first, then a method.
  func item(_ key: TemplateValue, of value: TemplateValue) throws(Failure) -> TemplateValue {
    try budget.spendKey(key)
    switch value {
    case .undefined(let undefined): throw failure(undefined.message)
    case .dictionary(let dictionary):
      if let key = try? TemplateKey(key), let member = dictionary.value(for: key) { return member }
    case .sequence(let sequence) where sequence.kind.isSequence:
      if let position = position(key, sequence.items.count) { return sequence.items[position] }
    case .text(let text):
      if let position = position(key, text.count) {
        return .text(text.slice(position..<position + 1).marked(safe: text.isSafe))
      }
    default: break
    }
    if case .text(let name) = key, let found = try ownAttribute(name.string, of: value) { return found }
    let described = try text(of: key).string
    return .undefined(TemplateUndefined("'\(typeName(of: value))' object has no element '\(described)'"))
  }

  private func position(_ key: TemplateValue, _ count: Int) -> Int? {
    guard let index = key.integerValue, index >= -count, index < count else { return nil }
    return index < 0 ? index + count : index
  }

  /// A method or property of the value itself; unsafe ones are undefined with the reason.
  private func ownAttribute(_ name: String, of value: TemplateValue) throws(Failure) -> TemplateValue? {
    if name.hasPrefix("__"), name.hasSuffix("__"), !value.isUndefined { return unsafe(name, value) }
    switch value {
    case .text: return TemplateEvaluator.textMethods.contains(name) ? .method(try TemplateMethod(value, name)) : nil
    case .sequence(let sequence): return try sequenceAttribute(name, sequence, value)
    case .dictionary:
      if TemplateEvaluator.changingDictionaryMethods.contains(name) { return unsafe(name, value) }
      return TemplateEvaluator.dictionaryMethods.contains(name) ? .method(try TemplateMethod(value, name)) : nil
    case .object(let number): return try objectAttribute(name, objects[number], value)
    default: return nil
    }
  }

  private func unsafe(_ name: String, _ value: TemplateValue) -> TemplateValue {
    .undefined(
      TemplateUndefined("access to attribute '\(name)' of '\(typeName(of: value))' object is unsafe"))
  }

  private func sequenceAttribute(
    _ name: String, _ sequence: TemplateSequence, _ value: TemplateValue
  ) throws(Failure) -> TemplateValue? {
    guard sequence.kind.isSequence else { return nil }
    if sequence.kind == .list {
      if TemplateEvaluator.changingListMethods.contains(name) { return unsafe(name, value) }
      if name == "copy" { return .method(try TemplateMethod(value, name)) }
    }
    return TemplateEvaluator.sequenceMethods.contains(name) ? .method(try TemplateMethod(value, name)) : nil
  }

  private func objectAttribute(
    _ name: String, _ object: TemplateObject, _ value: TemplateValue
  ) throws(Failure) -> TemplateValue? {
    switch object {
    case .namespace(let namespace): return namespace[TemplateText(name, isMarkup: true)]
    case .loop(let state):
      if name == "cycle" || name == "changed" { return .method(try TemplateMethod(value, name)) }
      return try loopAttribute(name, state)
    case .macro(let macro, _): return name == "name" ? .markup(macro.name) : nil
    case .cycler(let cycler):
      if name == "next" || name == "reset" { return .method(try TemplateMethod(value, name)) }
      return name == "current" ? cycler.items[cycler.position] : nil
    case .generator, .joiner: return nil
    }
  }

  private func loopAttribute(_ name: String, _ state: TemplateLoopState) throws(Failure) -> TemplateValue? {
    switch name {
    case "index": return .integer(state.index0 + 1)
    case "index0": return .integer(state.index0)
    case "first": return .bool(state.index0 == 0)
    case "last":
      let next = try peek(state)
      return .bool(next == nil)
    case "length": return .integer(try length(state))
    case "revindex": return .integer(try length(state) - state.index0)
    case "revindex0": return .integer(try length(state) - state.index0 - 1)
    case "depth": return .integer(state.depth0 + 1)
    case "depth0": return .integer(state.depth0)
    case "previtem": return state.previous ?? .undefined(TemplateUndefined("there is no previous item"))
    case "nextitem": return try peek(state) ?? .undefined(TemplateUndefined("there is no next item"))
    default: return nil
    }
  }

  // MARK: Calls

  func call(_ function: TemplateValue, _ arguments: TemplateCallArguments) throws(Failure) -> TemplateValue {
    switch function {
    case .undefined(let undefined): throw failure(undefined.message)
    case .function(let function): return try call(function, arguments)
    case .method(let method): return try call(method, arguments)
    case .object(let number):
      switch objects[number] {
      case .macro(let macro, let scope): return try callMacro(macro, scope, arguments)
      case .loop(let state): return try callLoop(state, arguments)
      case .joiner(let joiner):
        joiner.position += 1
        return joiner.position == 1 ? .emptyText : joiner.items[0]
      case .namespace, .generator, .cycler: break
      }
    default: break
    }
    throw failure("'\(typeName(of: function))' object is not callable")
  }

  private func callLoop(
    _ state: TemplateLoopState, _ arguments: TemplateCallArguments
  ) throws(Failure) -> TemplateValue {
    guard state.loop.isRecursive else {
      throw failure("the loop must have the 'recursive' marker to be called recursively")
    }
    guard let items = try arguments.bind(["iterable"], of: "loop")[0] else {
      throw failure("loop() needs an iterable")
    }
    let inner = TemplateLoopState(
      loop: state.loop, scope: state.scope, depth0: state.depth0 + 1, items: try self.items(of: items))
    return .text(
      try nested { () throws(Failure) in try capture { () throws(Failure) in try runLoop(inner) } })
  }

  private func call(_ method: TemplateMethod, _ arguments: TemplateCallArguments) throws(Failure) -> TemplateValue {
    switch method.receiver {
    case .text(let text): return try callText(text, method.name, arguments)
    case .sequence(let sequence): return try callSequence(sequence, method.name, arguments)
    case .dictionary(let dictionary): return try callDictionary(dictionary, method.name, arguments)
    case .object(let number): return try callObject(objects[number], method.name, arguments)
    default: throw failure("'\(method.name)' cannot be called")
    }
  }

  private func callSequence(
    _ sequence: TemplateSequence, _ name: String, _ arguments: TemplateCallArguments
  ) throws(Failure) -> TemplateValue {
    if name == "copy" { return .sequence(sequence) }
    guard let wanted = try arguments.bind(["value"], of: name)[0] else { throw failure("\(name)() needs a value") }
    var count = 0
    for (index, item) in sequence.items.enumerated() where try equal(item, wanted) {
      if name == "index" { return .integer(index) }
      count += 1
    }
    guard name == "count" else { throw failure("the value of index() is not in the \(sequence.kind.typeName)") }
    return .integer(count)
  }

  private func callDictionary(
    _ dictionary: TemplateDictionary, _ name: String, _ arguments: TemplateCallArguments
  ) throws(Failure) -> TemplateValue {
    if name == "get" {
      let values = try arguments.bind(["key", "default"], of: "get")
      guard let key = values[0], arguments.keywords.isEmpty else { throw failure("get() needs a key by position") }
      try budget.spendKey(key)
      return try dictionary.value(for: key) ?? values[1] ?? .none
    }
    if name != "copy" { try budget.spendProduct(dictionary.count, 1, isText: false) }
    _ = try arguments.bind([], of: name)
    switch name {
    case "keys": return .sequence(try TemplateSequence(dictionary.keys, .keys))
    case "values": return .sequence(try TemplateSequence(dictionary.values, .values))
    case "items":
      try budget.spendProduct(dictionary.count, 2, isText: false)
      return .sequence(try TemplateSequence(try dictionary.items(), .items))
    case "copy": return .dictionary(dictionary)
    default: throw Failure(.unsupported, "the method dict.\(name) is not supported")
    }
  }

  private func callObject(
    _ object: TemplateObject, _ name: String, _ arguments: TemplateCallArguments
  ) throws(Failure) -> TemplateValue {
    switch object {
    case .loop(let state) where name == "cycle":
      guard !arguments.positional.isEmpty else { throw failure("no items for cycling given") }
      return arguments.positional[max(state.index0, 0) % arguments.positional.count]
    case .loop(let state):
      let last = state.lastChanged
      state.lastChanged = arguments.positional
      guard let last, last.count == arguments.positional.count else { return .bool(true) }
      for (left, right) in zip(last, arguments.positional) where try !equal(left, right) { return .bool(true) }
      return .bool(false)
    case .cycler(let cycler):
      if name == "reset" {
        cycler.position = 0
        return .none
      }
      defer { cycler.position = (cycler.position + 1) % cycler.items.count }
      return cycler.items[cycler.position]
    default: throw failure("'\(name)' cannot be called")
    }
  }
}
