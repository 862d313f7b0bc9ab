/// Letter case, as the methods of Python's `str` change it. A mapped character keeps its origin.
extension TemplateText {
  func uppercased() -> TemplateText { mapped { scalar, _ in scalar.properties.uppercaseMapping } }

  func lowercased() -> TemplateText { mapped { scalar, position in lowercase(scalar, position) } }

  /// `str.casefold`, by the lower case of the upper case, which folds what commonly occurs.
  func casefolded() -> TemplateText {
    mapped { scalar, _ in
      scalar == "\u{DF}" ? "ss" : scalar == "\u{3C2}" ? "\u{3C3}" : scalar.properties.lowercaseMapping
    }
  }

  func capitalized() -> TemplateText {
    mapped { scalar, position in
      position == 0 ? scalar.properties.titlecaseMapping : lowercase(scalar, position)
    }
  }

  /// `str.title`: a letter after something without case begins a word.
  func titlecased() -> TemplateText {
    var isInWord = false
    return mapped { scalar, position in
      defer { isInWord = scalar.isPythonCased }
      return isInWord ? lowercase(scalar, position) : scalar.properties.titlecaseMapping
    }
  }

  /// The filter `title` of jinja2: words begin after white space, hyphens and opening brackets.
  func filterTitlecased() -> TemplateText {
    var isInWord = false
    return mapped { scalar, _ in
      let isBorder = scalar.isPythonSpace || ["-", "(", "{", "[", "<"].contains(scalar)
      defer { isInWord = !isBorder }
      return isInWord ? scalar.properties.lowercaseMapping : scalar.properties.uppercaseMapping
    }
  }

  func swapcased() -> TemplateText {
    mapped { scalar, position in
      if scalar.isPythonUppercase { return lowercase(scalar, position) }
      return scalar.isPythonLowercase ? scalar.properties.uppercaseMapping : String(Character(scalar))
    }
  }

  private func mapped(_ transform: (Unicode.Scalar, Int) -> String) -> TemplateText {
    var builder = TemplateTextBuilder()
    forEachRun { range, isMarkup in
      for position in range { builder.append(transform(self[position], position), isMarkup: isMarkup) }
    }
    return builder.text
  }

  private func lowercase(_ scalar: Unicode.Scalar, _ position: Int) -> String {
    scalar == "\u{3A3}" && isFinalSigma(position) ? "\u{3C2}" : scalar.properties.lowercaseMapping
  }

  /// A sigma at the end of a word: letters before it and none after it, marks between not counted.
  private func isFinalSigma(_ position: Int) -> Bool {
    var index = position - 1
    while index >= 0, self[index].properties.isCaseIgnorable { index -= 1 }
    guard index >= 0, self[index].properties.isCased else { return false }
    index = position + 1
    while index < count, self[index].properties.isCaseIgnorable { index += 1 }
    return index == count || !self[index].properties.isCased
  }

  /// Whether there is a character with case and none of `other` case.
  func isWholly(_ isWanted: (Unicode.Scalar) -> Bool, not isOther: (Unicode.Scalar) -> Bool) -> Bool {
    var found = false
    for scalar in scalars {
      if isOther(scalar) { return false }
      found = found || isWanted(scalar)
    }
    return found
  }

  var isUppercase: Bool { isWholly({ $0.isPythonUppercase }, not: { $0.isPythonLowercase || $0.isPythonTitlecase }) }
  var isLowercase: Bool { isWholly({ $0.isPythonLowercase }, not: { $0.isPythonUppercase || $0.isPythonTitlecase }) }

  /// `str.istitle`.
  var isTitlecase: Bool {
    var isInWord = false
    var found = false
    for scalar in scalars {
      if scalar.isPythonUppercase || scalar.isPythonTitlecase {
        if isInWord { return false }
        (isInWord, found) = (true, true)
      } else if scalar.isPythonLowercase {
        guard isInWord else { return false }
      } else {
        isInWord = false
      }
    }
    return found
  }
}
