;;; syd.el --- Commands to the sandbox that Emacs runs in  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: GPL-3.0-or-later

;;; Commentary:

;; Load it with (load "/dev/syd.el"), or write it with `madcap --el'.  A command is a question
;; about a file below /dev/syd: functions return t where the sandbox carried it out, else nil.
;; The functions for each category are made by a loop: see `syd--define'.

;;; Code:

(require 'json)

(defconst syd-lock-off :lock-off)
(defconst syd-lock-exec :lock-exec)
(defconst syd-lock-drop :lock-drop)
(defconst syd-lock-read :lock-read)
(defconst syd-lock-on :lock-on)

(defconst syd-action-allow :action-allow)
(defconst syd-action-warn :action-warn)
(defconst syd-action-filter :action-filter)
(defconst syd-action-deny :action-deny)
(defconst syd-action-panic :action-panic)
(defconst syd-action-stop :action-stop)
(defconst syd-action-abort :action-abort)
(defconst syd-action-kill :action-kill)
(defconst syd-action-exit :action-exit)

(defconst syd--rule-categories
  '("fs" "walk" "list" "stat" "read" "write" "exec" "ioctl" "create" "delete" "rename" "readlink"
    "symlink" "truncate" "chdir" "readdir" "mkdir" "rmdir" "chown" "chgrp" "chmod" "chattr"
    "chroot" "notify" "utime" "mkbdev" "mkcdev" "mkfifo" "mktemp" "sendfd" "recvfd"
    "net/bind" "net/connect" "net/link")
  "Categories that have rules.")

(defconst syd--enabled-categories
  (append '("lock" "net" "mem" "pid" "proxy" "force" "tpe") syd--rule-categories)
  "Categories that can be asked about.")

(defun syd--stat (command)
  "Give COMMAND to the sandbox; return t where it was carried out."
  (condition-case nil
      (let ((file-name-handler-alist nil))
        (and (file-attributes (concat "/dev/syd/" command)) t))
    (error nil)))

(defun syd--word (keyword prefix)
  "Return the name of KEYWORD without PREFIX, such as \"on\" for :lock-on."
  (let ((name (symbol-name keyword)))
    (unless (string-prefix-p prefix name)
      (error "Expected a keyword that begins with %s, got %s" prefix name))
    (substring name (length prefix))))

(defun syd--action (action)
  "Return the name of the keyword ACTION."
  (syd--word action ":action-"))

(defun syd-info ()
  "Return the state of the sandbox, as parsed JSON; nil where it cannot be read."
  (condition-case nil
      (with-temp-buffer
        (insert-file-contents "/dev/syd")
        (goto-char (point-min))
        (json-read))
    (error nil)))

(defun syd-api ()
  "Return the version of the interface, nil without a sandbox."
  (and (syd--stat "3") 3))

(defun syd-check ()
  "Return t where there is a sandbox that takes commands."
  (syd--stat ""))

(defun syd-have-force ()
  "Return t where the sandbox can check files before they are executed."
  (eq t (cdr (assq 'have_force (syd-info)))))

(defun syd-landlock-abi ()
  "Return the version of Landlock that the sandbox found."
  (cdr (assq 'landlock_abi (syd-info))))

(defun syd-panic ()
  "End the sandbox at once."
  (syd--stat "panic"))

(defun syd-ghost ()
  "Have every judged call refused from now on."
  (syd--stat "ghost"))

(defun syd-load (fd)
  "Have the sandbox read configuration from our descriptor FD."
  (syd--stat (format "load/%d" fd)))

(defun syd-lock (state)
  "Set the lock to STATE, one of the constants syd-lock-*."
  (syd--stat (concat "lock:" (syd--word state ":lock-"))))

(defun syd-exec (file argv)
  "Run the program FILE with the list of arguments ARGV outside of the sandbox."
  (syd--stat (concat "cmd/exec!" (mapconcat #'identity (cons file argv) "\x1f"))))

(defun syd-ioctl-deny (request)
  "Refuse the ioctl REQUEST, a number or a name."
  (syd--stat (format "deny/ioctl+%s" request)))

(defun syd-force-add (path algorithm checksum action)
  "Require of the file PATH the CHECKSUM made with ALGORITHM, else do ACTION."
  (syd--stat (format "force+%s:%s:%s:%s" path algorithm checksum (syd--action action))))

(defun syd-force-del (path)
  "Require no checksum of the file PATH."
  (syd--stat (concat "force-" path)))

(defun syd-force-clr ()
  "Require no checksums."
  (syd--stat "force^"))

(defun syd-mem-max (size)
  "Limit the memory of a process to SIZE."
  (syd--stat (format "mem/max:%s" size)))

(defun syd-mem-vm-max (size)
  "Limit the address space of a process to SIZE."
  (syd--stat (format "mem/vm_max:%s" size)))

(defun syd-pid-max (number)
  "Limit the sandbox to NUMBER tasks."
  (syd--stat (format "pid/max:%s" number)))

(defun syd-pipe-max (size)
  "Limit pipes to SIZE bytes."
  (syd--stat (format "pipe/max:%s" size)))

(defun syd-xattr-max (size)
  "Limit extended attributes to SIZE bytes."
  (syd--stat (format "xattr/max:%s" size)))

(defun syd-segvguard-expiry (seconds)
  "Forget a crash after SECONDS."
  (syd--stat (format "segvguard/expiry:%s" seconds)))

(defun syd-segvguard-suspension (seconds)
  "Keep a program that crashed too often from being executed for SECONDS."
  (syd--stat (format "segvguard/suspension:%s" seconds)))

(defun syd-segvguard-maxcrashes (number)
  "Let a program crash NUMBER times."
  (syd--stat (format "segvguard/maxcrashes:%s" number)))

(defun syd--define (verb category suffix document body)
  "Define the function BODY as syd-VERB-CATEGORY, or as syd-CATEGORY-SUFFIX.
DOCUMENT describes it, with %s for the category."
  (let* ((name (replace-regexp-in-string "/" "-" category))
         (symbol (intern (if verb
                             (format "syd-%s-%s" verb name)
                           (format "syd-%s-%s" name suffix)))))
    (defalias symbol body (format document category))))

(dolist (category syd--enabled-categories)
  (syd--define "enabled" category nil "Return t where the category %s is on."
               (lambda () (syd--stat (format "sandbox/%s?" category))))
  (unless (member category '("lock" "proxy" "mem" "force"))
    (syd--define "enable" category nil "Switch the category %s on."
                 (lambda () (syd--stat (format "sandbox/%s:on" category)))))
  (unless (member category '("lock" "proxy"))
    (syd--define "disable" category nil "Switch the category %s off."
                 (lambda () (syd--stat (format "sandbox/%s:off" category))))))

(dolist (category (append '("segvguard" "mem" "pid" "force" "tpe" "block" "lock")
                          syd--rule-categories))
  (syd--define "default" category nil "Have %s answer ACTION where no rule matches."
               (lambda (action)
                 (syd--stat (format "default/%s:%s" category (syd--action action))))))

(dolist (category syd--rule-categories)
  (syd--define nil category "add" "Add a rule for %s: ACTION where GLOB matches."
               (lambda (action glob)
                 (syd--stat (format "%s/%s+%s" (syd--action action) category glob))))
  (syd--define nil category "del" "Remove the newest rule for %s of ACTION and GLOB."
               (lambda (action glob)
                 (syd--stat (format "%s/%s-%s" (syd--action action) category glob))))
  (syd--define nil category "rem" "Remove all rules for %s of ACTION and GLOB."
               (lambda (action glob)
                 (syd--stat (format "%s/%s^%s" (syd--action action) category glob)))))

(defvar syd-3-mode-keywords
  `((,(concat "^\\(allow\\|warn\\|filter\\|deny\\|panic\\|stop\\|abort\\|kill\\|exit\\)/"
              "\\([^-+^]+\\)[-+^]")
     (1 font-lock-keyword-face)
     (2 font-lock-type-face))
    ("^\\(sandbox\\|default\\|trace\\|lock\\|unshare\\|rlimit\\|log\\)[/:]"
     (1 font-lock-builtin-face))
    ("^\\(include\\|include_profile\\) \\(.*\\)$"
     (1 font-lock-preprocessor-face)
     (2 font-lock-string-face))
    ("\\$\\({[^}]*}\\|[A-Za-z0-9_]+\\)" . font-lock-variable-name-face))
  "What is highlighted in a configuration file.")

(define-derived-mode syd-3-mode prog-mode "syd-3"
  "Major mode for configuration files of the sandbox."
  (setq-local comment-start "# ")
  (setq-local comment-start-skip "#+[ \t]*")
  (modify-syntax-entry ?# "<")
  (modify-syntax-entry ?\n ">")
  (setq-local font-lock-defaults '(syd-3-mode-keywords)))

(add-to-list 'auto-mode-alist '("\\.syd-3\\'" . syd-3-mode))

(provide 'syd)

;;; syd.el ends here
