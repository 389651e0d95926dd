# Drives the pages in headless Chromium; see PagesTests.swift.
